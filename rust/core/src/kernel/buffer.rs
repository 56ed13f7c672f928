//! Memory for f32 on cache-line boundaries, in huge pages if it is large.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment of small buffers in bytes: a vector load that straddles two cache lines costs twice.
const CACHE_LINE: usize = 64;
/// Size of a huge page on x86-64 and aarch64 Linux, in bytes.
const HUGE_PAGE: usize = 2 << 20;
/// Least size in bytes that is rounded up to huge pages. One actor's theta' is 660 small pages, and sixteen actors' are
/// more than a TLB holds.
const LARGE: usize = 1 << 20;

/// Owned, zeroed memory for `len` f32. It exposes only its address; [`Buffer`] and the Hogwild store make access to it
/// safe, each in its own way.
#[derive(Debug)]
pub(crate) struct Zeroed {
    start: NonNull<f32>,
    len: usize,
}

// SAFETY: it owns its memory, which is not tied to a thread; it never reads or writes it after `new`.
unsafe impl Send for Zeroed {}
// SAFETY: `&Zeroed` gives an address and a length.
unsafe impl Sync for Zeroed {}

impl Zeroed {
    pub(crate) fn new(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: `layout` has more than zero bytes.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        if layout.size() >= LARGE {
            advise_huge_pages(start, layout.size());
        }
        // SAFETY: the allocation has `layout.size()` bytes.
        unsafe { start.write_bytes(0, layout.size()) };
        Zeroed { start: start.cast(), len }
    }

    fn layout(len: usize) -> Layout {
        let bytes = len.checked_mul(size_of::<f32>()).expect("the length fits the address space");
        let unit = if bytes >= LARGE { HUGE_PAGE } else { CACHE_LINE };
        let bytes = bytes.max(1).next_multiple_of(unit);
        Layout::from_size_align(bytes, unit).expect("the length fits the address space")
    }

    pub(crate) fn start(&self) -> NonNull<f32> {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Zeroed {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this very layout.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) };
    }
}

/// Asks for huge pages; a system without them ignores the advice.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the range consists of whole pages of this allocation; the advice does not change its contents.
    unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_start: NonNull<u8>, _bytes: usize) {}

/// Fixed number of f32, used as a slice.
pub struct Buffer(Zeroed);

impl Buffer {
    /// Allocates `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Buffer(Zeroed::new(len))
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: the memory holds `len` initialised f32, is owned by `self` and lent out only through `self`.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.len) }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut buffer = Buffer::zeros(self.len());
        buffer.copy_from_slice(self);
        buffer
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Buffer) -> bool {
        **self == **other
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; `&mut self` makes the borrow unique.
        unsafe { std::slice::from_raw_parts_mut(self.0.start.as_ptr(), self.0.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_on_a_cache_line_with_zeros_and_has_its_length() {
        for len in [0, 1, 16, 17, 1000, 300_000] {
            let mut buffer = Buffer::zeros(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr() as usize % CACHE_LINE, 0);
            assert!(buffer.iter().all(|x| *x == 0.0));
            buffer.fill(1.0);
            assert_eq!(buffer.iter().sum::<f32>(), len as f32);
        }
    }

    #[test]
    fn large_memory_starts_on_a_huge_page() {
        assert_eq!(Buffer::zeros(LARGE / 4).as_ptr() as usize % HUGE_PAGE, 0);
    }
}
