//! Emulator stepped through ale-py's C interface, without Python objects and without the interpreter's lock.

use super::ffi::{DataType, Handler, buffer, call, handler};
use a3crs_core::env::EnvError;
use a3crs_core::env::atari::{Acted, Emulator, SHAPE, Screens};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Emulator behind the handle of a vector environment of one game.
pub struct NativeAle {
    /// The vector environment, which owns the emulator.
    _ale: Py<PyAny>,
    handle: [u8; 8],
    step: Handler,
    reset: Handler,
}

/// Values that the emulator writes besides the screens.
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

/// Dimensions of [`Screens`] in a vector environment of one game.
const SCREENS: &[i64] = &[1, SHAPE[0] as i64, SHAPE[1] as i64, SHAPE[2] as i64];

impl NativeAle {
    /// Takes over the emulator of `ale`; `native` is its handle and ale-py's capsules for step and reset.
    pub fn new(ale: Bound<'_, PyAny>, native: &Bound<'_, PyAny>) -> PyResult<Self> {
        let shape = ale.call_method0("get_observation_shape")?.extract::<(usize, usize, usize)>()?;
        if <[usize; 3]>::from(shape) != SHAPE || ale.call_method0("get_num_envs")?.extract::<usize>()? != 1 {
            return Err(PyValueError::new_err(format!("the emulator shows {shape:?}, not one game's {SHAPE:?}")));
        }
        let (handle, step, reset) = native.extract::<([u8; 8], Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        Ok(NativeAle { _ale: ale.unbind(), handle, step: handler(&step)?, reset: handler(&reset)? })
    }
}

impl Emulator for NativeAle {
    fn reset(&mut self, mut seed: i32, screens: &mut Screens) -> Result<i32, EnvError> {
        let (mut index, mut out) = (0i32, Outputs::default());
        let args = [
            buffer(DataType::U8, self.handle.as_mut_ptr(), &[8]),
            buffer(DataType::S32, &mut index, &[1]),
            buffer(DataType::S32, &mut seed, &[1]),
        ];
        let rets = [
            buffer(DataType::U8, out.handle.as_mut_ptr(), &[8]),
            buffer(DataType::U8, screens.as_mut_ptr(), SCREENS),
            buffer(DataType::S32, &mut out.env_id, &[1]),
            buffer(DataType::S32, &mut out.lives, &[1]),
            buffer(DataType::S32, &mut out.frame, &[1]),
            buffer(DataType::S32, &mut out.game_frame, &[1]),
        ];
        // SAFETY: `self.reset` is ale-py's reset, and these are its operands: each pointer is to a live value of the
        // dimensions beside it, `SCREENS` being those of `Screens`, and `new` has checked that the emulator writes no more. ale-py
        // takes calls from any thread, one at a time, as `&mut self` makes them.
        unsafe { call(self.reset, &args, &rets)? };
        Ok(out.lives)
    }

    fn act(&mut self, action: usize, screens: &mut Screens) -> Result<Acted, EnvError> {
        let (mut action, mut paddle, mut out) = (action as i32, 1.0f32, Outputs::default());
        let args = [
            buffer(DataType::U8, self.handle.as_mut_ptr(), &[8]),
            buffer(DataType::S32, &mut action, &[1]),
            buffer(DataType::F32, &mut paddle, &[1]),
        ];
        let rets = [
            buffer(DataType::U8, out.handle.as_mut_ptr(), &[8]),
            buffer(DataType::U8, screens.as_mut_ptr(), SCREENS),
            buffer(DataType::S32, &mut out.reward, &[1]),
            buffer(DataType::Pred, &mut out.over, &[1]),
            buffer(DataType::Pred, &mut out.cut, &[1]),
            buffer(DataType::S32, &mut out.env_id, &[1]),
            buffer(DataType::S32, &mut out.lives, &[1]),
            buffer(DataType::S32, &mut out.frame, &[1]),
            buffer(DataType::S32, &mut out.game_frame, &[1]),
        ];
        // SAFETY: as in `reset`, with ale-py's step and its operands.
        unsafe { call(self.step, &args, &rets)? };
        Ok(Acted { points: out.reward, over: out.over != 0, cut: out.cut != 0, lives: out.lives })
    }
}
