// SPDX-License-Identifier: GPL-2.0-or-later
//! TORCS robot, a plugin that sends the driver's view to its owner and drives as the owner commands.
//!
//! TORCS asks its robots for a command every 20 ms of simulation. At every fourth call this robot has the engine draw
//! the scene, sends image and telemetry through a socket, and waits there for the next action. Game and owner thus go
//! in lock-step, as fast as they can. When the owner exits, the socket closes and the game ends. Messages are described
//! in game.py.

mod engine;
mod layout;

use std::cell::RefCell;
use std::env;
use std::ffi::{c_int, c_uint};
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;

use engine::{Engine, Start};
use layout::*;

const CALLS_PER_ACTION: u32 = 4;
const NO_WAITING: f64 = 1e-9; // seconds of wall-clock time per second of simulation

const LAYOUT_KNOWN: c_int = 0;
const LAYOUT_UNKNOWN: c_int = 1;

const GLUT_WINDOW_WIDTH: c_uint = 102;
const GLUT_WINDOW_HEIGHT: c_uint = 103;
const GL_PACK_ALIGNMENT: c_uint = 0x0D05;
const GL_RGB: c_uint = 0x1907;
const GL_UNSIGNED_BYTE: c_uint = 0x1401;

unsafe extern "C" {
    safe fn _exit(status: c_int) -> !;
}

enum Command {
    Drive,
    StartAgain,
}

struct Robot {
    engine: Engine,
    owner: UnixStream,
    calls: u32,
    start: Option<Start>,
    speeds: f32, // sum since the last action
    samples: u32,
    steer: f32,
    throttle: f32,
    message: Vec<u8>,
}

impl Robot {
    fn new() -> Option<Self> {
        let socket = env::var("A3CRS_TORCS_SOCKET").ok()?.parse().ok()?;
        // SAFETY: the owner left this socket open for the robot alone, which is made once.
        let owner = unsafe { UnixStream::from_raw_fd(socket) };
        Some(Self {
            engine: Engine::find()?,
            owner,
            calls: 0,
            start: None,
            speeds: 0.0,
            samples: 0,
            steer: 0.0,
            throttle: 0.0,
            message: Vec::new(),
        })
    }

    fn begin(&mut self) {
        (self.calls, self.speeds, self.samples) = (0, 0.0, 0);
    }

    /// Answers one call of the game.
    ///
    /// # Safety
    /// `car` is a tCarElt and `situation` a tSituation.
    unsafe fn drive(&mut self, car: Object, situation: Object) {
        let race = self.engine.race();
        // SAFETY: the caller vouches for `car` and `situation`; `is_known` checks first that they have these fields.
        unsafe {
            if !layout::is_known(race, situation) {
                self.refuse();
            }
            car.set(CONTROL, [0; 172]);
            race.set(TIME_FACTOR, NO_WAITING);
            if situation.get(TIME) < 0.0 {
                return; // the countdown
            }
            let angle = self.angle(car);
            self.speeds += car.get(SPEED) * angle.cos();
            self.samples += 1;
            if self.calls.is_multiple_of(CALLS_PER_ACTION) {
                if self.calls == 0 {
                    self.start = Start::of(race, situation);
                }
                self.show(car, situation, angle);
                while let Command::StartAgain = self.receive() {
                    let Some(start) = &self.start else { self.refuse() };
                    start.put_back(race, situation);
                    let angle = self.angle(car);
                    (self.calls, self.speeds, self.samples) = (0, car.get(SPEED) * angle.cos(), 1);
                    self.show(car, situation, angle);
                }
            }
            self.calls += 1;
            car.set(STEER, self.steer);
            car.set(ACCELERATE, self.throttle.max(0.0));
            car.set(BRAKE, (-self.throttle).max(0.0));
            car.set(WANTED_GEAR, gear(car));
        }
    }

    /// Returns the angle of the car to the track's axis, from -pi to pi.
    ///
    /// # Safety
    /// `car` is a tCarElt of a known layout.
    unsafe fn angle(&self, car: Object) -> f32 {
        let turn = std::f32::consts::TAU;
        // SAFETY: the function reads the tTrkLocPos that it is given.
        let angle = unsafe { (self.engine.side_angle)(car.0.add(TRACK_POINT)) - car.get(YAW) };
        angle - (angle / turn).round() * turn
    }

    /// Sends the driver's view and the car's telemetry.
    ///
    /// # Safety
    /// `car` and `situation` are a tCarElt and a tSituation of known layouts.
    unsafe fn show(&mut self, car: Object, situation: Object, angle: f32) {
        // SAFETY: the layouts are known; the engine's graphics are up while a race runs, and refresh takes the
        // situation.
        let (telemetry, [width, height]) = unsafe {
            (self.engine.race().get(REFRESH))(situation);
            let reward = self.speeds / self.samples as f32;
            let position = 2.0 * car.get(TO_MIDDLE) / car.get(SEGMENT).get(WIDTH);
            let time = situation.get(TIME) as f32;
            (
                [reward, car.get(SPEED), angle, position, car.get(DISTANCE), time],
                [GLUT_WINDOW_WIDTH, GLUT_WINDOW_HEIGHT].map(|size| (self.engine.glut_get)(size)),
            )
        };
        (self.speeds, self.samples) = (0.0, 0);
        self.message.clear();
        for number in [LAYOUT_KNOWN, width, height] {
            self.message.extend(number.to_ne_bytes());
        }
        for number in telemetry {
            self.message.extend(number.to_ne_bytes());
        }
        let pixels = self.message.len();
        self.message.resize(pixels + 3 * (width * height) as usize, 0);
        (self.engine.pixel_store)(GL_PACK_ALIGNMENT, 1);
        let image = self.message[pixels..].as_mut_ptr();
        // Rows without padding: three bytes for each of width x height pixels, for which there is room.
        (self.engine.read_pixels)(0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, image);
        self.send();
    }

    /// Reports that the game's layout is unknown, and ends the game.
    fn refuse(&mut self) -> ! {
        self.message = LAYOUT_UNKNOWN.to_ne_bytes().to_vec();
        self.send();
        _exit(1)
    }

    fn send(&mut self) {
        if self.owner.write_all(&self.message).is_err() {
            _exit(0);
        }
    }

    fn receive(&mut self) -> Command {
        let mut message = [[0; 4]; 3];
        if self.owner.read_exact(message.as_flattened_mut()).is_err() {
            _exit(0);
        }
        let [command, steer, throttle] = message;
        (self.steer, self.throttle) = (f32::from_ne_bytes(steer), f32::from_ne_bytes(throttle));
        if c_int::from_ne_bytes(command) == 0 { Command::Drive } else { Command::StartAgain }
    }
}

/// Returns the gear that an automatic gearbox would choose.
///
/// # Safety
/// `car` is a tCarElt of a known layout.
unsafe fn gear(car: Object) -> c_int {
    // SAFETY: `car` is of a known layout.
    let (gear, speed, highest) = unsafe {
        (
            car.get(GEAR).max(1),
            car.get(ENGINE_SPEED) / car.get(ENGINE_RED_LINE),
            car.get(GEARS) - 1 - car.get(GEAR_OFFSET),
        )
    };
    if speed > 0.95 && gear < highest {
        gear + 1
    } else if speed < 0.5 && gear > 1 {
        gear - 1
    } else {
        gear
    }
}

thread_local! {
    /// Robot of this process. TORCS calls its robots from one thread.
    static ROBOT: RefCell<Option<Robot>> = const { RefCell::new(None) };
}

fn with_robot<T>(task: impl FnOnce(&mut Robot) -> T) -> T {
    ROBOT.with_borrow_mut(|robot| match robot {
        Some(robot) => task(robot),
        None => _exit(1), // not called: the module refuses to be loaded without one
    })
}

extern "C" fn new_track(_: c_int, _: Object, _: Object, setup: *mut Object, _: Object) {
    // SAFETY: `setup` is where the game expects the handle of the car's setup. There is none.
    unsafe { *setup = Object(null_mut()) }
}

extern "C" fn new_race(_: c_int, _: Object, _: Object) {
    with_robot(Robot::begin);
}

extern "C" fn drive(_: c_int, car: Object, situation: Object) {
    // SAFETY: TORCS calls a robot with a tCarElt and a tSituation.
    with_robot(|robot| unsafe { robot.drive(car, situation) });
}

extern "C" fn end_race(_: c_int, _: Object, _: Object) {}

extern "C" fn pit(_: c_int, _: Object, _: Object) -> c_int {
    0 // leave the pit at once
}

extern "C" fn shut_down(_: c_int) {}

extern "C" fn initialise(index: c_int, robot: Object) -> c_int {
    // SAFETY: TORCS gives a tRobotItf to be filled.
    unsafe {
        robot.set(NEW_TRACK, new_track);
        robot.set(NEW_RACE, new_race);
        robot.set(END_RACE, end_race);
        robot.set(DRIVE, drive);
        robot.set(PIT, pit);
        robot.set(SHUT_DOWN, shut_down);
        robot.set(ROBOT_INDEX, index);
    }
    0
}

/// Entry point that TORCS looks up in the plugin. Fills in the description of its one robot.
// SAFETY: no other function of the game has this name.
#[unsafe(no_mangle)]
extern "C" fn a3crs(modules: Object) -> c_int {
    let made = ROBOT.with_borrow_mut(|robot| {
        *robot = robot.take().or_else(Robot::new);
        robot.is_some()
    });
    if !made {
        return -1;
    }
    // SAFETY: TORCS gives ten tModInfo to be filled; the texts are never freed.
    unsafe {
        modules.set(MODULE, [0; 400]);
        modules.set(NAME, c"a3crs".as_ptr());
        modules.set(DESCRIPTION, c"".as_ptr());
        modules.set(INITIALISE, initialise);
        modules.set(INDEX, 1);
    }
    0
}
