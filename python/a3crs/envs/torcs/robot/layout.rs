// SPDX-License-Identifier: GPL-2.0-or-later
//! Layout of the game's structures, as compiled for amd64 from version 1.3.7. Debian ships no headers of the game, so
//! fields are read and written at known offsets, and `is_known` checks that they are there.

use std::ffi::{c_char, c_int};
use std::marker::PhantomData;
use std::ops::Range;

const CALL_SECS: Range<f64> = 0.019..0.025; // between two calls: 0.02, and up to a step of the physics more

/// Offset of a field of type `T` in a structure.
pub struct Field<T>(usize, PhantomData<T>);

impl<T> Field<T> {
    pub const fn at(offset: usize) -> Self {
        Self(offset, PhantomData)
    }
}

// tCarElt
pub const YAW: Field<f32> = Field::at(348);
pub const SPEED: Field<f32> = Field::at(352); // along the car, m/s
pub const SEGMENT: Field<Object> = Field::at(544);
pub const TRACK_POINT: usize = 544; // a tTrkLocPos, which begins with the segment
pub const TO_MIDDLE: Field<f32> = Field::at(564);
pub const DISTANCE: Field<f32> = Field::at(784); // m since the start
pub const GEAR: Field<c_int> = Field::at(1344);
pub const ENGINE_SPEED: Field<f32> = Field::at(1352);
pub const ENGINE_RED_LINE: Field<f32> = Field::at(1356);
pub const GEARS: Field<c_int> = Field::at(1420); // with neutral and reverse
pub const GEAR_OFFSET: Field<c_int> = Field::at(1424);
pub const CONTROL: Field<[u8; 172]> = Field::at(1536);
pub const STEER: Field<f32> = Field::at(1536);
pub const ACCELERATE: Field<f32> = Field::at(1540);
pub const BRAKE: Field<f32> = Field::at(1544);
pub const WANTED_GEAR: Field<c_int> = Field::at(1552);
// tTrackSeg
pub const WIDTH: Field<f32> = Field::at(28);
pub const CAR: Field<[u8; 2672]> = Field::at(0);
// tSituation
pub const CAR_COUNT: Field<c_int> = Field::at(0);
pub const CARS: Field<*const Object> = Field::at(56);
pub const SINCE_LAST_CALL: Field<f64> = Field::at(32);
pub const TIME: Field<f64> = Field::at(40);
// tRmInfo
pub const SITUATION: Field<Object> = Field::at(8);
pub const REFRESH: Field<extern "C" fn(Object) -> c_int> = Field::at(168);
pub const LAST_CALL: Field<f64> = Field::at(296);
pub const TIME_FACTOR: Field<f64> = Field::at(304);
// tModInfo, and the tRobotItf that its third field fills
pub const MODULE: Field<[u8; 400]> = Field::at(0); // ten of them
pub const NAME: Field<*const c_char> = Field::at(0);
pub const DESCRIPTION: Field<*const c_char> = Field::at(8);
pub const INITIALISE: Field<extern "C" fn(c_int, Object) -> c_int> = Field::at(16);
pub const INDEX: Field<c_int> = Field::at(28);
pub const NEW_TRACK: Field<extern "C" fn(c_int, Object, Object, *mut Object, Object)> = Field::at(0);
pub const NEW_RACE: Field<extern "C" fn(c_int, Object, Object)> = Field::at(8);
pub const END_RACE: Field<extern "C" fn(c_int, Object, Object)> = Field::at(16);
pub const DRIVE: Field<extern "C" fn(c_int, Object, Object)> = Field::at(24);
pub const PIT: Field<extern "C" fn(c_int, Object, Object) -> c_int> = Field::at(32);
pub const SHUT_DOWN: Field<extern "C" fn(c_int)> = Field::at(40);
pub const ROBOT_INDEX: Field<c_int> = Field::at(48);

/// Pointer to one of the game's structures.
#[derive(Clone, Copy, PartialEq)]
#[repr(transparent)]
pub struct Object(pub *mut u8);

impl Object {
    /// Reads a field.
    ///
    /// # Safety
    /// This is a structure that has this field, and the caller runs on the game's thread.
    pub unsafe fn get<T: Copy>(self, field: Field<T>) -> T {
        // SAFETY: the caller vouches for the field; no alignment is assumed.
        unsafe { self.0.add(field.0).cast::<T>().read_unaligned() }
    }

    /// Writes a field.
    ///
    /// # Safety
    /// The conditions of `get` hold, and the value is valid for the game.
    pub unsafe fn set<T>(self, field: Field<T>, value: T) {
        // SAFETY: the caller vouches for the field; no alignment is assumed.
        unsafe { self.0.add(field.0).cast::<T>().write_unaligned(value) }
    }
}

/// Returns true if the structures have the known layout.
///
/// # Safety
/// `race` and `situation` are at least as long as in the known layout, whatever their fields.
pub unsafe fn is_known(race: Object, situation: Object) -> bool {
    // SAFETY: the caller vouches for the lengths.
    unsafe { race.get(SITUATION) == situation && CALL_SECS.contains(&situation.get(SINCE_LAST_CALL)) }
}
