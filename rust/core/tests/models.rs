//! All interleavings of the protocols between threads, explored by loom. This finds deadlocks, threads that are never
//! woken and missed values, even if no processor at hand would show them.
//!
//! Run them by `RUSTFLAGS="--cfg loom" cargo test --test models`.
#![cfg(loom)]

use a3crs_core::shared::clock::crossed;
use a3crs_core::shared::{Clock, Refreshes};
use a3crs_core::train::TrainError;
use a3crs_core::train::run::pool::life;
use a3crs_core::train::turns::Rounds;
use a3crs_core::train::turns::Turns;
use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use loom::sync::{Arc, Mutex, mpsc};
use loom::thread::{self, yield_now};

/// Explores all interleavings with up to `preemptions` switches between threads that could have continued.
fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

#[test]
fn every_tick_is_a_time_of_its_own_and_a_refresh_is_due_once() {
    model(4, || {
        let clock = Arc::new(Clock::at(7));
        let ticks = |clock: &Clock| {
            let times = [clock.tick(), clock.tick()];
            assert!(times[0] < times[1] && times[1] <= clock.now(), "T runs backwards");
            times
        };
        let other = thread::spawn({
            let clock = Arc::clone(&clock);
            move || ticks(&clock)
        });
        let mut times = [ticks(&clock), other.join().unwrap()].concat();
        times.sort_unstable();
        assert_eq!(times, [8, 9, 10, 11]);
        assert_eq!(times.iter().filter(|t| crossed(**t, 4)).count(), 1);
    });
}

#[test]
fn who_sees_a_refresh_counted_sees_the_refreshed_theta_target() {
    model(4, || {
        let theta_target: Arc<[AtomicU32; 2]> = Arc::default();
        let refreshes = Arc::new(Refreshes::default());
        let writer = thread::spawn({
            let (theta_target, refreshes) = (Arc::clone(&theta_target), Arc::clone(&refreshes));
            move || {
                for value in 1..=2 {
                    theta_target.iter().for_each(|lane| lane.store(value, Relaxed)); // as the store does
                    refreshes.publish();
                }
            }
        });
        let seen = refreshes.seen();
        assert!(theta_target.iter().all(|lane| u64::from(lane.load(Relaxed)) >= seen));
        writer.join().unwrap();
    });
}

#[test]
fn actors_take_turns_and_none_waits_for_ever() {
    for (actors, memories) in [(2, 1), (3, 1), (3, 2)] {
        model(2, move || {
            let turns = Arc::new(Turns::new(actors, vec![0; memories]));
            let work = |turns: &Turns<i32>| *turns.take().memory() += 1;
            let threads: Vec<_> = (1..actors)
                .map(|_| {
                    let turns = Arc::clone(&turns);
                    thread::spawn(move || work(&turns))
                })
                .collect();
            work(&turns);
            work(&turns);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let mut held: Vec<_> = (0..memories).map(|_| turns.take()).collect();
            assert_eq!(held.iter_mut().map(|turn| *turn.memory()).sum::<i32>(), actors as i32 + 1);
        });
    }
}

/// Simulates an actor that plays until its `rounds` are over, or leaves after `until`. It appends what it learned to
/// the log.
fn play(rounds: &Rounds<()>, actor: usize, ends: usize, until: usize, log: &Mutex<Vec<usize>>) {
    for round in 1..=until {
        let Some(turn) = rounds.take(actor) else { break };
        if turn.seat().is_first() {
            turn.seat().begun();
        }
        if !turn.seat().in_order() {
            break;
        }
        log.lock().unwrap().push(actor);
        turn.end(round == ends);
    }
    rounds.leave(); // as `Leaving` does
}

#[test]
fn rounds_are_in_order_and_a_pause_is_between_two_of_them() {
    for memories in [1, 2] {
        model(2, move || {
            let rounds = Arc::new(Rounds::new(2, vec![(); memories], 0));
            let log = Arc::new(Mutex::new(Vec::new()));
            let actors = [0, 1].map(|actor| {
                let (rounds, log) = (Arc::clone(&rounds), Arc::clone(&log));
                thread::spawn(move || play(&rounds, actor, 2, usize::MAX, &log))
            });
            rounds.ask_pause();
            while !rounds.is_paused() && !rounds.ended_between_rounds() {
                yield_now();
            }
            let logged = log.lock().unwrap().len();
            assert!(logged == 2 || logged == 4, "a pause after {logged} segments");
            rounds.go_on();
            actors.into_iter().for_each(|actor| actor.join().unwrap());
            assert_eq!(*log.lock().unwrap(), [0, 1, 0, 1]);
            assert!(rounds.ended_between_rounds());
        });
    }
}

#[test]
fn an_actor_that_leaves_ends_the_rounds_for_all() {
    for (leaver, after) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        model(2, move || {
            let rounds = Arc::new(Rounds::new(2, vec![(); 2], 0));
            let log = Arc::new(Mutex::new(Vec::new()));
            let actors = [0, 1].map(|actor| {
                let (rounds, log) = (Arc::clone(&rounds), Arc::clone(&log));
                let until = if actor == leaver { after } else { usize::MAX };
                thread::spawn(move || play(&rounds, actor, 3, until, &log))
            });
            actors.into_iter().for_each(|actor| actor.join().unwrap());
            assert!(!rounds.ended_between_rounds());
        });
    }
}

#[test]
fn whoever_fails_all_actors_end_and_the_supervisor_hears_of_each() {
    model(3, || {
        let (stop, (sender, exits)) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
        for actor in 0..2 {
            let (stop, sender) = (Arc::clone(&stop), sender.clone());
            thread::spawn(move || {
                let body = || {
                    if actor == 1 {
                        return Err(TrainError::Config("the wheels came off".into()));
                    }
                    while !stop.load(Relaxed) {
                        yield_now();
                    }
                    Ok(())
                };
                sender.send(life(actor, &stop, body)).unwrap();
            });
        }
        let heard = [exits.recv().unwrap(), exits.recv().unwrap()];
        assert_eq!(heard.iter().filter(|exit| exit.is_err()).count(), 1);
        assert!(stop.load(Relaxed));
    });
}
