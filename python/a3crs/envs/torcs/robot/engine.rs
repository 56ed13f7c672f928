// SPDX-License-Identifier: GPL-2.0-or-later
//! Functions of the game and its libraries that the robot calls, and the reset of a race to its start.

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::mem::transmute;
use std::ptr::null_mut;

use crate::layout::{CAR, CAR_COUNT, CARS, LAST_CALL, Object, TIME};

unsafe extern "C" {
    fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void;
    fn malloc_usable_size(block: *const c_void) -> usize;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Functions of the game and its libraries that the robot calls.
pub struct Engine {
    race: *const Object,
    pub side_angle: extern "C" fn(*mut u8) -> f32,
    pub glut_get: extern "C" fn(c_uint) -> c_int,
    pub pixel_store: extern "C" fn(c_uint, c_int),
    pub read_pixels: extern "C" fn(c_int, c_int, c_int, c_int, c_uint, c_uint, *mut u8),
}

impl Engine {
    /// Looks up the functions; none if one of the names does not exist.
    pub fn find() -> Option<Self> {
        fn address(name: &CStr) -> Option<*mut c_void> {
            // SAFETY: a null library means the whole process; the name ends with a null.
            let found = unsafe { dlsym(null_mut(), name.as_ptr()) };
            (!found.is_null()).then_some(found)
        }
        // SAFETY: these are functions of the C ABI with these parameters, in TORCS's, GLUT's and OpenGL's headers.
        unsafe {
            Some(Self {
                race: address(c"ReInfo")?.cast(),
                side_angle: transmute::<*mut c_void, extern "C" fn(*mut u8) -> f32>(address(
                    c"_Z19RtTrackSideTgAngleLP10tTrkLocPos",
                )?),
                glut_get: transmute::<*mut c_void, extern "C" fn(c_uint) -> c_int>(address(c"glutGet")?),
                pixel_store: transmute::<*mut c_void, extern "C" fn(c_uint, c_int)>(address(c"glPixelStorei")?),
                read_pixels: transmute::<*mut c_void, extern "C" fn(c_int, c_int, c_int, c_int, c_uint, c_uint, *mut u8)>(
                    address(c"glReadPixels")?,
                ),
            })
        }
    }

    pub fn race(&self) -> Object {
        // SAFETY: the game's global `ReInfo`, which points to a tRmInfo before any robot is called.
        unsafe { *self.race }
    }
}

/// State of all cars at the start of a race. Copying the bytes back is a thousand times faster than having the engine
/// start the race again. The engine would also keep 45 MB of the old race each time.
pub struct Start {
    cars: Vec<(Object, [u8; 2672])>,
    physics: Vec<u8>, // the simulation's own table
    time: f64,
    last_call: f64,
}

impl Start {
    /// Copies the state at the start; none if the simulation's table is not found.
    ///
    /// # Safety
    /// `race` and `situation` are of known layouts.
    pub unsafe fn of(race: Object, situation: Object) -> Option<Self> {
        // SAFETY: `race` and `situation` are of known layouts; the block of the physics is as long as `physics` says.
        unsafe {
            let (physics, length) = physics()?;
            Some(Self {
                cars: (0..situation.get(CAR_COUNT) as usize)
                    .map(|i| {
                        let car = *situation.get(CARS).add(i);
                        (car, car.get(CAR))
                    })
                    .collect(),
                physics: std::slice::from_raw_parts(physics.0, length).to_vec(),
                time: situation.get(TIME),
                last_call: race.get(LAST_CALL),
            })
        }
    }

    /// Restores the state at the start.
    ///
    /// # Safety
    /// `race` and `situation` are those from which the state was copied.
    pub unsafe fn put_back(&self, race: Object, situation: Object) {
        // SAFETY: the same bytes were there; the objects they point to live as long as the race does.
        unsafe {
            for (car, bytes) in &self.cars {
                car.set(CAR, *bytes);
            }
            if let Some((physics, length)) = physics().filter(|(_, l)| *l == self.physics.len()) {
                physics.0.copy_from_nonoverlapping(self.physics.as_ptr(), length);
            }
            situation.set(TIME, self.time);
            race.set(LAST_CALL, self.last_call);
        }
    }
}

/// Returns the simulation's table of cars and its length; none if it is not found.
fn physics() -> Option<(Object, usize)> {
    const LAZY_IF_LOADED: c_int = 1 | 4;
    let path = CString::new(env::var("A3CRS_TORCS_PHYSICS").ok()?).ok()?;
    // SAFETY: the texts end with a null; the symbol is a pointer to a block allocated by malloc.
    unsafe {
        let library = dlopen(path.as_ptr(), LAZY_IF_LOADED);
        if library.is_null() {
            return None;
        }
        let table = dlsym(library, c"SimCarTable".as_ptr()).cast::<Object>();
        if table.is_null() || (*table).0.is_null() {
            return None;
        }
        Some((*table, malloc_usable_size((*table).0.cast())))
    }
}
