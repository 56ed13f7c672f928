//! Asynchronous actor-learners (Mnih et al., 2016).

pub mod kernel;
