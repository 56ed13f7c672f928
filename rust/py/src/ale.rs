//! Atari game stepped through ale-py's C interface, without Python objects and without the interpreter's lock.
//!
//! The vector environment's `handle()` is the first operand of each call. The rules around the emulator are those of
//! `AtariGame` in `python/a3crs/envs/atari.py`, in a second implementation; `tests/envs/test_native.py` and, at the start
//! of every run, [`crate::make::differs`] compare the two.

mod ffi;

use a3crs_core::env::{End, Env, EnvError, Episode, ObsMut, Step};
use ffi::{DataType, Handler, buffer, call, handler};
use pyo3::intern;
use pyo3::prelude::*;

/// Frames in an observation.
const STACK: usize = 4;
/// Height and width of a frame.
const SIDE: usize = 84;
/// Bytes of an observation.
pub const OBS_LEN: usize = STACK * SIDE * SIDE;

/// Values that the emulator writes besides the screen.
#[derive(Default)]
struct Outputs {
    handle: [u8; 8],
    reward: i32,
    over: u8,
    cut: u8,
    env_id: i32,
    lives: i32,
    frame: i32,
    game_frame: i32,
}

/// Game whose emulator is stepped without the interpreter; the rules and the counters are `AtariGame`'s.
pub struct NativeGame {
    /// The `AtariGame`, which owns the emulator and draws the no-ops after a lost life.
    game: Py<PyAny>,
    handle: [u8; 8],
    step: Handler,
    reset: Handler,
    num_actions: usize,
    cuts_at_life_loss: bool,
    lives: i32,
    life_lost: bool,
    blank_frames: usize,
    episode: Episode,
    unreported: Option<Episode>,
}

// SAFETY: the handlers may be called from any thread, and the emulator behind the handle is this value's alone.
unsafe impl Send for NativeGame {}

impl NativeGame {
    /// Returns the game of an `AtariGame` whose `native()` describes its emulator, and `None` for other environments.
    pub fn of(game: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = game.py();
        let Ok(native) = game.getattr(intern!(py, "native")) else { return Ok(None) };
        let described = native.call0()?;
        if described.is_none() {
            return Ok(None);
        }
        let get = |name| described.get_item(name);
        Ok(Some(NativeGame {
            game: game.clone().unbind(),
            handle: get("handle")?.extract()?,
            step: handler(&get("step")?)?,
            reset: handler(&get("reset")?)?,
            num_actions: get("num_actions")?.extract()?,
            cuts_at_life_loss: get("cuts_at_life_loss")?.extract()?,
            lives: 0,
            life_lost: false,
            blank_frames: 0,
            episode: Episode { episode_return: 0.0, length_steps: 0 },
            unreported: None,
        }))
    }

    /// Number of actions.
    pub fn num_actions(&self) -> usize {
        self.num_actions
    }

    fn new_game(&mut self, seed: Option<u64>, obs: &mut [u8]) -> Result<(), EnvError> {
        Python::attach(|py| self.game.call_method1(py, intern!(py, "seed_noops"), (seed,)).map(|_| ()))?;
        let (mut index, mut seed) = (0i32, seed.map_or(-1, |seed| (seed % (1 << 31)) as i32));
        let mut out = Outputs::default();
        let args = [
            buffer(DataType::U8, self.handle.as_mut_ptr(), &[8]),
            buffer(DataType::S32, &mut index, &[1]),
            buffer(DataType::S32, &mut seed, &[1]),
        ];
        let rets = [
            buffer(DataType::U8, out.handle.as_mut_ptr(), &[8]),
            buffer(DataType::U8, obs.as_mut_ptr(), SCREENS),
            buffer(DataType::S32, &mut out.env_id, &[1]),
            buffer(DataType::S32, &mut out.lives, &[1]),
            buffer(DataType::S32, &mut out.frame, &[1]),
            buffer(DataType::S32, &mut out.game_frame, &[1]),
        ];
        // SAFETY: these are the operands of ale-py's reset; `obs` holds the screens, as `screens` has checked.
        unsafe { call(self.reset, &args, &rets)? };
        self.lives = out.lives;
        self.life_lost = false;
        self.blank_frames = 0;
        self.episode = Episode { episode_return: 0.0, length_steps: 0 };
        Ok(())
    }

    fn next_life(&mut self, obs: &mut [u8]) -> Result<(), EnvError> {
        let noops: usize =
            Python::attach(|py| self.game.call_method0(py, intern!(py, "draw_noops"))?.extract::<usize>(py))?;
        for _ in 0..noops {
            let (_, over, cut) = self.emulate(0, obs)?;
            if over || cut {
                self.unreported = Some(self.episode);
                return self.new_game(None, obs);
            }
        }
        self.life_lost = false;
        self.blank_frames = STACK - 1;
        self.blank(obs);
        Ok(())
    }

    /// Blacks out the frames of the life before.
    fn blank(&self, obs: &mut [u8]) {
        obs[..self.blank_frames * SIDE * SIDE].fill(0);
    }

    /// Repeats an action; returns the points, then true where the game is over, then true where it was cut at the frame limit.
    fn emulate(&mut self, action: usize, obs: &mut [u8]) -> Result<(i32, bool, bool), EnvError> {
        let (mut action, mut paddle, mut out) = (action as i32, 1.0f32, Outputs::default());
        let args = [
            buffer(DataType::U8, self.handle.as_mut_ptr(), &[8]),
            buffer(DataType::S32, &mut action, &[1]),
            buffer(DataType::F32, &mut paddle, &[1]),
        ];
        let rets = [
            buffer(DataType::U8, out.handle.as_mut_ptr(), &[8]),
            buffer(DataType::U8, obs.as_mut_ptr(), SCREENS),
            buffer(DataType::S32, &mut out.reward, &[1]),
            buffer(DataType::Pred, &mut out.over, &[1]),
            buffer(DataType::Pred, &mut out.cut, &[1]),
            buffer(DataType::S32, &mut out.env_id, &[1]),
            buffer(DataType::S32, &mut out.lives, &[1]),
            buffer(DataType::S32, &mut out.frame, &[1]),
            buffer(DataType::S32, &mut out.game_frame, &[1]),
        ];
        // SAFETY: these are the operands of ale-py's step; `obs` holds the screens, as `screens` has checked.
        unsafe { call(self.step, &args, &rets)? };
        let (over, cut) = (out.over != 0, out.cut != 0);
        self.episode.episode_return += f64::from(out.reward);
        // A count of 0 is not a lost life: some games show it for a few frames before they are over.
        self.life_lost = self.cuts_at_life_loss && 0 < out.lives && out.lives < self.lives && !(over || cut);
        self.lives = out.lives;
        Ok((out.reward, over, cut))
    }
}

const SCREENS: &[i64] = &[1, STACK as i64, SIDE as i64, SIDE as i64];

fn screens(obs: ObsMut<'_>) -> Result<&mut [u8], EnvError> {
    match obs {
        ObsMut::Image(bytes) if bytes.len() == OBS_LEN => Ok(bytes),
        _ => Err("an Atari game shows 4 screens of 84x84 bytes".into()),
    }
}

impl Env<usize> for NativeGame {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        let obs = screens(obs)?;
        match seed {
            None if self.life_lost => self.next_life(obs),
            _ => self.new_game(seed, obs),
        }
    }

    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        let obs = screens(obs)?;
        if action >= self.num_actions {
            // ALE's worker thread would never answer.
            return Err(format!("action {action} does not exist: the game has {}", self.num_actions).into());
        }
        let (points, over, cut) = self.emulate(action, obs)?;
        self.episode.length_steps += 1;
        self.blank_frames = self.blank_frames.saturating_sub(1);
        self.blank(obs);
        let unreported = self.unreported.take();
        let end = match (over || self.life_lost, cut) {
            (true, _) => End::Terminal,
            (false, true) => End::Truncated,
            (false, false) => End::No,
        };
        Ok(Step { reward: points as f32, end, episode: if over || cut { Some(self.episode) } else { unreported } })
    }
}
