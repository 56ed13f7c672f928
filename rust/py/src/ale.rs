//! One Atari game, stepped through the C interface that ale-py's wheel exports for XLA: no Python object and no interpreter lock.
//!
//! `ale_py._ale_py.VectorXLAStep()` and `VectorXLAReset()` are capsules around functions of XLA's foreign function interface, and the
//! vector environment's `handle()` is the first operand of both. The layouts below are those of `xla/ffi/api/c_api.h`.
//! What a game does around the emulator is `AtariGame` of `python/a3crs/envs/atari.py` once more; `tests/envs/test_native.py` and, at
//! the start of every run, [`differs`] compare the two.

use crate::env::PyEnv;
use a3crs_core::env::{End, Env, EnvError, Episode, ObsMut, Step};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Frames in an observation, and its pixels.
const STACK: usize = 4;
const SIDE: usize = 84;
const OBS_LEN: usize = STACK * SIDE * SIDE;

/// `XLA_FFI_CallFrame -> XLA_FFI_Error*`; null is success.
type Handler = unsafe extern "C" fn(*mut CallFrame) -> *mut c_void;

/// `XLA_FFI_DataType`
#[derive(Clone, Copy)]
#[repr(C)]
enum DataType {
    Pred = 1,
    S32 = 4,
    U8 = 6,
    F32 = 11,
}

/// `XLA_FFI_Buffer`
#[repr(C)]
struct Buffer {
    struct_size: usize,
    extension: *const c_void,
    dtype: DataType,
    data: *mut c_void,
    rank: i64,
    dims: *const i64,
}

/// `XLA_FFI_Args` and `XLA_FFI_Rets`
#[repr(C)]
struct Operands {
    struct_size: usize,
    extension: *const c_void,
    size: i64,
    types: *const c_int,
    operands: *const *const Buffer,
}

/// `XLA_FFI_Attrs`
#[repr(C)]
struct Attributes {
    struct_size: usize,
    extension: *const c_void,
    size: i64,
    types: *const c_void,
    names: *const c_void,
    attrs: *const c_void,
}

/// `XLA_FFI_CallFrame`
#[repr(C)]
struct CallFrame {
    struct_size: usize,
    extension: *const c_void,
    api: *const Api,
    context: *const c_void,
    stage: c_int,
    args: Operands,
    rets: Operands,
    attrs: Attributes,
    future: *const c_void,
}

/// The beginning of `XLA_FFI_Api`: a handler that refuses its operands asks it for an error.
#[repr(C)]
struct Api {
    struct_size: usize,
    extension: *const c_void,
    version_struct_size: usize,
    version_extension: *const c_void,
    version: [c_int; 2],
    internal: *const c_void,
    error_create: unsafe extern "C" fn(*const ErrorCreate) -> *mut c_void,
}

/// `XLA_FFI_Error_Create_Args`
#[repr(C)]
struct ErrorCreate {
    struct_size: usize,
    extension: *const c_void,
    message: *const c_char,
    code: c_int,
}

/// Any address that is not null: what went wrong is not looked at.
unsafe extern "C" fn error_create(_: *const ErrorCreate) -> *mut c_void {
    ptr::dangling_mut::<u64>().cast()
}

const STAGE_EXECUTE: c_int = 3;
const OPERAND_BUFFER: c_int = 1;
const MOST_OPERANDS: usize = 9;

fn buffer<T>(dtype: DataType, data: *mut T, dims: &[i64]) -> Buffer {
    let rank = dims.len() as i64;
    Buffer {
        struct_size: size_of::<Buffer>(),
        extension: ptr::null(),
        dtype,
        data: data.cast(),
        rank,
        dims: dims.as_ptr(),
    }
}

/// # Safety
/// The handler expects these operands, and each is valid for its dimensions.
unsafe fn call(handler: Handler, args: &[Buffer], rets: &[Buffer]) -> Result<(), EnvError> {
    let types = [OPERAND_BUFFER; MOST_OPERANDS];
    let pointers = |buffers: &[Buffer]| {
        let mut pointers = [ptr::null::<Buffer>(); MOST_OPERANDS];
        pointers.iter_mut().zip(buffers).for_each(|(pointer, buffer)| *pointer = buffer);
        pointers
    };
    let operands = |count: usize, pointers: &[*const Buffer; MOST_OPERANDS]| Operands {
        struct_size: size_of::<Operands>(),
        extension: ptr::null(),
        size: count as i64,
        types: types.as_ptr(),
        operands: pointers.as_ptr(),
    };
    let api = Api {
        struct_size: size_of::<Api>(),
        extension: ptr::null(),
        version_struct_size: 24,
        version_extension: ptr::null(),
        version: [0, 1],
        internal: ptr::null(),
        error_create,
    };
    let (arg_pointers, ret_pointers) = (pointers(args), pointers(rets));
    let mut frame = CallFrame {
        struct_size: std::mem::offset_of!(CallFrame, future), // XLA counts to the end of `attrs`
        extension: ptr::null(),
        api: &api,
        context: ptr::null(),
        stage: STAGE_EXECUTE,
        args: operands(args.len(), &arg_pointers),
        rets: operands(rets.len(), &ret_pointers),
        attrs: Attributes {
            struct_size: size_of::<Attributes>(),
            extension: ptr::null(),
            size: 0,
            types: ptr::null(),
            names: ptr::null(),
            attrs: ptr::null(),
        },
        future: ptr::null(),
    };
    // SAFETY: the frame and all it points to outlive the call; the operands are the caller's promise.
    match unsafe { handler(&mut frame) }.is_null() {
        true => Ok(()),
        false => Err("ale-py refused a call through its C interface".into()),
    }
}

/// What the emulator writes besides the screen, one of each.
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

/// A game whose emulator is stepped without the interpreter; the rules and the counters are `AtariGame`'s.
pub struct NativeGame {
    /// The `AtariGame`: keeps the emulator alive, and draws the no-ops after a lost life.
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

fn handler(capsule: &Bound<'_, PyAny>) -> PyResult<Handler> {
    let capsule = capsule.cast::<PyCapsule>()?;
    // SAFETY: the name lives as long as the capsule, which outlives this call.
    let name = capsule.name()?.map(|name| unsafe { name.as_cstr() });
    let pointer = capsule.pointer_checked(name)?;
    // SAFETY: ale-py puts functions of exactly this type into these capsules (`nb::capsule` of an XLA_FFI_Handler).
    Ok(unsafe { std::mem::transmute::<*mut c_void, Handler>(pointer.as_ptr()) })
}

impl NativeGame {
    /// The game behind an `AtariGame`, where `game.native()` describes its emulator; none for other environments.
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

    /// The screens of the life before do not show through.
    fn blank(&self, obs: &mut [u8]) {
        obs[..self.blank_frames * SIDE * SIDE].fill(0);
    }

    /// One action repeat: points, whether the game is over, whether it was cut at the frame limit.
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

/// Plays `steps` of the same game through Python and through the C interface; says where the two differ, if they do.
/// `make_game(native)` makes the game.
pub fn differs(make_game: &Py<PyAny>, steps: usize) -> Result<Option<String>, EnvError> {
    let (mut python, mut native) = Python::attach(|py| {
        let native = NativeGame::of(make_game.call1(py, (true,))?.bind(py))?;
        PyResult::Ok((PyEnv::over(make_game.call1(py, (false,))?.into_bound(py))?, native))
    })?;
    let Some(native) = &mut native else { return Ok(Some("ale-py has no such interface".into())) };
    let python: &mut dyn Env<usize> = &mut python;
    let (mut shown, mut expected) = (vec![0; OBS_LEN], vec![0; OBS_LEN]);
    let (mut seed, mut reset) = (Some(1), true);
    for step in 0..steps {
        if reset {
            python.reset(seed, ObsMut::Image(&mut expected))?;
            native.reset(seed, ObsMut::Image(&mut shown))?;
            seed = None;
        }
        if shown != expected {
            return Ok(Some(format!("the screens before step {step} differ")));
        }
        let action = step * 7 / 3 % native.num_actions;
        let result = native.step(action, ObsMut::Image(&mut shown))?;
        if result != python.step(action, ObsMut::Image(&mut expected))? || shown != expected {
            return Ok(Some(format!("step {step} differs")));
        }
        reset = result.end != End::No;
    }
    Ok(None)
}
