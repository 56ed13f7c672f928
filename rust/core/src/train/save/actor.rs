//! An actor's state in a checkpoint.

use super::checkpoint::MOST_COUNTED;
use super::tensors::{Reader, Writer};
use crate::env::{ActionSpec, ObsMut, ObsRef};
use crate::rl::ActorRng;
use crate::train::learn::normalise::Scale;
use crate::train::learn::place::{MOST_NUMBERS, Place};
use crate::train::learn::{ActorMeta, ActorState};
use crate::train::log::Totals;
use rand::RngExt;

/// Writes everything but [`ActorState::meta`] as tensors of `actor`.
pub fn write(state: &ActorState, actor: usize, file: &mut Writer) {
    let name = |what: &str| format!("actor{actor}.{what}");
    let Place { moves, width, .. } = &state.meta.place;
    file.add(name("moves"), &[moves.len() / width, *width], moves);
    file.add(name("state"), &[state.state.len()], &state.state);
    file.add(name("carried"), &[state.carried.len()], &state.carried);
    file.add(name("rewards"), &[2], &state.rewards);
    if let Some(scale) = &state.scale {
        file.add(name("scale"), &[2, scale.dims()], &scale.to_vec());
    }
    match state.s_t.get(0) {
        ObsRef::Image(bytes) => file.add(name("s_t"), &[bytes.len()], bytes),
        ObsRef::Vector(features) => file.add(name("s_t"), &[features.len()], features),
    }
    file.add(name("sums"), &[state.sums.as_slice().len()], state.sums.as_slice());
}

/// Reads the tensors of `actor` into `state`, whose shapes they must have. Actions and counts that no run can have are refused.
pub fn read(
    state: &mut ActorState,
    actor: usize,
    meta: ActorMeta,
    file: &Reader<'_>,
    actions: ActionSpec,
) -> Result<(), String> {
    let name = |what: &str| format!("actor{actor}.{what}");
    let width = state.meta.place.width;
    if meta.place.width != width {
        return Err(format!("its actor {actor} has actions of {} numbers, not {width}", meta.place.width));
    }
    check(&meta).map_err(|what| format!("its actor {actor} has {what}"))?;
    let exists = |row: &[f32]| match actions {
        ActionSpec::Discrete(n) => row[0] >= 0.0 && (row[0] as usize) < n,
        ActionSpec::Continuous { .. } => row.iter().all(|x| x.is_finite()),
    };
    let moves: Vec<f32> = file.get(&name("moves"), &[usize::MAX, width])?;
    if let Some(row) = moves.chunks_exact(width).find(|row| !row[0].is_nan() && !exists(row)) {
        return Err(format!("its tensor {} has an action {row:?}, which does not exist", name("moves")));
    }
    state.meta = meta;
    state.meta.started &= !state.meta.place.is_nowhere(); // saved between the two
    state.meta.place.moves.reserve_exact(MOST_NUMBERS.max(moves.len()));
    state.meta.place.moves.extend_from_slice(&moves);
    state.state = file.get(&name("state"), &[state.state.len()])?;
    state.carried = file.get(&name("carried"), &[usize::MAX])?;
    if !state.carried.is_empty() && (state.carried.len() != width || !exists(&state.carried)) {
        return Err(format!("its tensor {} has an action {:?}, which does not exist", name("carried"), state.carried));
    }
    state.carried.reserve_exact(width);
    state.rewards.copy_from_slice(&file.get::<f32>(&name("rewards"), &[2])?);
    if let Some(scale) = &mut state.scale {
        *scale = Scale::from_slice(&file.get::<f32>(&name("scale"), &[2, scale.dims()])?);
    }
    match state.s_t.get_mut(0) {
        ObsMut::Image(bytes) => bytes.copy_from_slice(&file.get::<u8>(&name("s_t"), &[bytes.len()])?),
        ObsMut::Vector(features) => features.copy_from_slice(&file.get::<f32>(&name("s_t"), &[features.len()])?),
    }
    state.sums = Totals::from_slice(&file.get::<f64>(&name("sums"), &[state.sums.as_slice().len()])?);
    Ok(())
}

/// Refuses scalars that no run can have.
fn check(meta: &ActorMeta) -> Result<(), String> {
    let Place { steps, starts, hidden_starts, .. } = meta.place;
    let counts = [meta.ticket, meta.steps, meta.episodes, meta.refused_in_a_row, steps, starts, hidden_starts];
    if let Some(most) = counts.iter().find(|count| **count > MOST_COUNTED) {
        return Err(format!("counted to {most}, which no run can"));
    }
    if starts + hidden_starts > steps {
        return Err(format!("begun {} episodes in {steps} steps", starts + hidden_starts));
    }
    let is_stuck = |rng: &ActorRng| {
        let mut next = rng.clone();
        next.random::<u64>();
        next == *rng
    };
    match &meta.rng {
        Some(rng) if is_stuck(rng) => Err("random numbers that are all 0".into()),
        _ => Ok(()),
    }
}
