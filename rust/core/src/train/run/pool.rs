//! The actors' threads. Parallelism exists here and nowhere else: a rayon call inside an actor could steal another actor's
//! never-ending job and not return.

use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::train::Host;
use crate::train::error::TrainError;
use rayon::ThreadPoolBuilder;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Message from an actor to the supervisor. The channel is bounded and preallocated: sending does not allocate.
#[derive(Debug)]
pub enum Message<T> {
    /// Report of an actor.
    Report(T),
    /// End of an actor, with its result.
    Exit(Result<(), TrainError>),
}

/// Messages that may wait for the supervisor before an actor has to.
const CHANNEL_CAPACITY: usize = 4096;

/// Runs `body(actor, report)` for each of `actors` on a thread of its own, and `supervise` on the calling thread, which so
/// stays free for signals, the log and checkpoints. The first actor that fails stops all. Returns when every actor has
/// ended.
///
/// `supervise` is handed the messages and must receive until it has seen every actor's [`Message::Exit`].
pub fn with_actors<T: Send, R>(
    actors: usize,
    host: &dyn Host,
    stop: &AtomicBool,
    body: impl Fn(usize, &SyncSender<Message<T>>) -> Result<(), TrainError> + Sync,
    supervise: impl FnOnce(Receiver<Message<T>>) -> R,
) -> Result<R, TrainError> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(actors)
        .thread_name(|actor| format!("actor-{actor}"))
        .build()
        .map_err(|e| TrainError::Config(format!("cannot start {actors} actor threads: {e}")))?;
    let (sender, receiver) = sync_channel(CHANNEL_CAPACITY);
    Ok(pool.in_place_scope(|scope| {
        for actor in 0..actors {
            let (sender, body) = (sender.clone(), &body);
            scope.spawn(move |_| {
                let mut result = Ok(());
                host.on_actor_thread(&mut || result = life(actor, stop, || body(actor, &sender)));
                // A supervisor that is gone has nobody to tell.
                let _ = sender.send(Message::Exit(result));
            });
        }
        drop(sender);
        supervise(receiver)
    }))
}

/// Runs an actor to its end, also by a panic; one that fails stops the others.
pub fn life(actor: usize, stop: &AtomicBool, body: impl FnOnce() -> Result<(), TrainError>) -> Result<(), TrainError> {
    let result = catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|panic| Err(TrainError::Panic { actor, message: message_of(&*panic) }));
    if result.is_err() {
        stop.store(true, Relaxed);
    }
    result
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
