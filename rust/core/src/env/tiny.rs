//! Small environments with known solutions.

use super::{ActionSpec, End, Env, EnvError, EnvSpec, Episode, ObsMut, ObsSpec, Step};
use crate::rl::{ActionVector, ActorRng};
use rand::{RngExt, SeedableRng};

/// Corridor of `len` cells. Action 1 moves right, action 0 left. Leaving it on the right pays 1 and is terminal.
///
/// With discount gamma the optimal value of cell `i` is `gamma^(len - 1 - i)`.
#[derive(Clone, Debug)]
pub struct Chain {
    len: usize,
    time_limit_steps: u64,
    cell: usize,
    episode: Episode,
}

impl Chain {
    /// Creates a corridor of `len` cells whose episodes are truncated after `time_limit_steps`.
    pub fn new(len: usize, time_limit_steps: u64) -> Self {
        Chain { len, time_limit_steps, cell: 0, episode: Episode { episode_return: 0.0, length_steps: 0 } }
    }

    /// Returns the shape of an observation: the cell, one-hot.
    pub fn obs_spec(&self) -> ObsSpec {
        ObsSpec::Vector { len: self.len }
    }

    fn show(&self, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let ObsMut::Vector(obs) = obs else { return Err("Chain shows vectors".into()) };
        obs.fill(0.0);
        obs[self.cell.min(self.len - 1)] = 1.0;
        Ok(())
    }
}

impl Env<usize> for Chain {
    fn reset(&mut self, _seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.cell = 0;
        self.episode = Episode { episode_return: 0.0, length_steps: 0 };
        self.show(obs)
    }

    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.cell = if action == 1 { self.cell + 1 } else { self.cell.saturating_sub(1) };
        self.episode.length_steps += 1;
        let arrived = self.cell == self.len;
        let reward = if arrived { 1.0 } else { 0.0 };
        self.episode.episode_return += f64::from(reward);
        let end = if arrived {
            End::Terminal
        } else if self.episode.length_steps >= self.time_limit_steps {
            End::Truncated
        } else {
            End::No
        };
        self.show(obs)?;
        Ok(Step { reward, end, episode: (end != End::No).then_some(self.episode) })
    }
}

/// Game in which a ball falls from the top of a `size` x `size` board. Catching it with the paddle in the last row pays
/// 1, missing it pays -1.
///
/// Actions: 0 left, 1 stay, 2 right. The board is drawn as an image of `size * scale` pixels a side, large enough for
/// convolutions.
#[derive(Clone, Debug)]
pub struct Catch {
    size: usize,
    scale: usize,
    rng: ActorRng,
    ball: (usize, usize),
    paddle: usize,
}

impl Catch {
    /// Creates a board of `size` x `size` cells, each `scale` x `scale` pixels.
    pub fn new(size: usize, scale: usize) -> Self {
        Catch { size, scale, rng: ActorRng::seed_from_u64(0), ball: (0, 0), paddle: size / 2 }
    }

    /// Returns the shape of an observation: one grey image.
    pub fn obs_spec(&self) -> ObsSpec {
        ObsSpec::Image { channels: 1, height: self.size * self.scale, width: self.size * self.scale }
    }

    fn show(&self, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let ObsMut::Image(pixels) = obs else { return Err("Catch shows images".into()) };
        pixels.fill(0);
        let width = self.size * self.scale;
        for (row, column) in [self.ball, (self.size - 1, self.paddle)] {
            for y in row * self.scale..(row + 1) * self.scale {
                pixels[y * width + column * self.scale..][..self.scale].fill(255);
            }
        }
        Ok(())
    }
}

impl Env<usize> for Catch {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.rng = ActorRng::seed_from_u64(seed);
        }
        self.ball = (0, self.rng.random_range(0..self.size));
        self.paddle = self.size / 2;
        self.show(obs)
    }

    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.paddle = (self.paddle + action).saturating_sub(1).min(self.size - 1);
        self.ball.0 += 1;
        let landed = self.ball.0 == self.size - 1;
        let reward = match (landed, self.ball.1 == self.paddle) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -1.0,
        };
        self.show(obs)?;
        let episode = Episode { episode_return: f64::from(reward), length_steps: self.size as u64 - 1 };
        let end = if landed { End::Terminal } else { End::No };
        Ok(Step { reward, end, episode: landed.then_some(episode) })
    }
}

/// Memory task. The first step shows one of two cues, the next `delay_steps` show nothing, and the last shows a
/// question. The action that names the cue pays 1, the other pays -1. A policy without memory earns 0 on average.
#[derive(Clone, Debug)]
pub struct Recall {
    delay_steps: u64,
    rng: ActorRng,
    cue: usize,
    steps: u64,
}

impl Recall {
    /// Creates episodes of `delay_steps + 2` steps.
    pub fn new(delay_steps: u64) -> Self {
        Recall { delay_steps, rng: ActorRng::seed_from_u64(0), cue: 0, steps: 0 }
    }

    /// Returns the shape of an observation: the cue, one-hot, and the question.
    pub fn obs_spec(&self) -> ObsSpec {
        ObsSpec::Vector { len: 3 }
    }

    fn show(&self, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let ObsMut::Vector(obs) = obs else { return Err("Recall shows vectors".into()) };
        obs.fill(0.0);
        if self.steps == 0 {
            obs[self.cue] = 1.0;
        }
        if self.steps == self.delay_steps + 1 {
            obs[2] = 1.0;
        }
        Ok(())
    }
}

impl Env<usize> for Recall {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.rng = ActorRng::seed_from_u64(seed);
        }
        self.cue = self.rng.random_range(0..2);
        self.steps = 0;
        self.show(obs)
    }

    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        let asked = self.steps == self.delay_steps + 2;
        let reward = match (asked, action == self.cue) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -1.0,
        };
        self.show(obs)?;
        let episode = Episode { episode_return: f64::from(reward), length_steps: self.steps };
        Ok(Step { reward, end: if asked { End::Terminal } else { End::No }, episode: asked.then_some(episode) })
    }
}

/// Regression task: each step shows a point, and the reward is minus the squared distance from the action to it. A time
/// limit truncates the episode.
#[derive(Clone, Debug)]
pub struct Aim {
    dims: usize,
    time_limit_steps: u64,
    /// Factor of the observation: a coordinate x of the point is shown as `scale (x + offset)`.
    scale: f32,
    offset: f32,
    /// Range of the coordinates, which are drawn from U(-radius, radius).
    radius: f32,
    rng: ActorRng,
    point: ActionVector,
    episode: Episode,
}

impl Aim {
    /// Creates points of `dims` coordinates, each from U(-1, 1).
    pub fn new(dims: usize, time_limit_steps: u64) -> Self {
        let episode = Episode { episode_return: 0.0, length_steps: 0 };
        let point = ActionVector::from_fn(dims, |_| 0.0);
        Aim {
            dims,
            time_limit_steps,
            scale: 1.0,
            offset: 0.0,
            radius: 1.0,
            rng: ActorRng::seed_from_u64(0),
            point,
            episode,
        }
    }

    /// Returns the task with each coordinate x shown as `scale (x + offset)`.
    pub fn seen_as(self, scale: f32, offset: f32) -> Self {
        Aim { scale, offset, ..self }
    }

    /// Returns the task with coordinates from U(-radius, radius).
    pub fn times(self, radius: f32) -> Self {
        Aim { radius, ..self }
    }

    /// Returns the environment's properties: observations and actions of `dims` components.
    pub fn spec(&self) -> EnvSpec {
        let obs = ObsSpec::Vector { len: self.dims };
        let max_episode_steps = Some(self.time_limit_steps as usize);
        EnvSpec { max_episode_steps, ..EnvSpec::new(obs, ActionSpec::Continuous { dims: self.dims }) }
    }

    fn show(&mut self, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let ObsMut::Vector(obs) = obs else { return Err("Aim shows vectors".into()) };
        self.point = ActionVector::from_fn(self.dims, |_| self.radius * self.rng.random_range(-1.0..1.0));
        obs.iter_mut().zip(self.point.iter()).for_each(|(obs, x)| *obs = self.scale * (x + self.offset));
        Ok(())
    }
}

impl Env<ActionVector> for Aim {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        if let Some(seed) = seed {
            self.rng = ActorRng::seed_from_u64(seed);
        }
        self.episode = Episode { episode_return: 0.0, length_steps: 0 };
        self.show(obs)
    }

    fn step(&mut self, action: ActionVector, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        let reward = -action.iter().zip(self.point.iter()).map(|(a, x)| (a - x) * (a - x)).sum::<f32>();
        self.episode.episode_return += f64::from(reward);
        self.episode.length_steps += 1;
        let is_over = self.episode.length_steps == self.time_limit_steps;
        self.show(obs)?;
        let end = if is_over { End::Truncated } else { End::No };
        Ok(Step { reward, end, episode: is_over.then_some(self.episode) })
    }
}
