//! Test that this CPU does not tear the lanes of a vector move.

use super::store::Store;
use crate::kernel::Isa;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Result of [`tear_test`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TearReport {
    /// Number of f32 read while another thread wrote them.
    pub reads: u64,
    /// Number of values read that no thread had written. If it is not 0, the store must not be used with this `isa`.
    pub torn: u64,
}

/// Two values that differ in every byte.
const WRITTEN: [u32; 2] = [0x1122_3344, 0xaabb_ccdd];

/// Writes two values in turn to a few cache lines from one thread and reads them from another for `duration`. Each f32 read
/// must be one of the two.
pub fn tear_test(isa: Isa, duration: Duration) -> TearReport {
    const LEN: usize = 64;
    let rows = WRITTEN.map(|bits| [f32::from_bits(bits); LEN]);
    let store = Store::from_slice(&rows[0]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rows.iter().for_each(|row| store.write_from(isa, row));
            }
        });
        let (mut report, mut out) = (TearReport { reads: 0, torn: 0 }, [0.0_f32; LEN]);
        let start = Instant::now();
        while start.elapsed() < duration {
            for _ in 0..1000 {
                store.read_into(isa, &mut out);
                report.reads += LEN as u64;
                report.torn += out.iter().filter(|x| !WRITTEN.contains(&x.to_bits())).count() as u64;
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer only writes");
        report
    })
}
