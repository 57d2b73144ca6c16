//! The stacks of tasks: slabs of address space, a guard below each stack.
#![expect(unsafe_code, reason = "a stack is an address range that machine code writes to")]

use crate::sys::memory::{Guard, Region, page_size};
use crate::sys::overflow::Bounds;
use corosensei::stack::{MIN_STACK_SIZE, StackPointer};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ptr::{self, NonNull};
use std::rc::Rc;

/// A guard is wider than one page, for foreign code that jumps ahead without touching what it
/// passes. An odd number of pages, so that the tops of stacks fall into different sets of the
/// caches although stacks are powers of two.
const GUARD_PAGES: usize = 3;

/// So many stacks are mapped at once.
const SLAB: usize = 64;

/// The tops of neighbouring stacks start so many bytes apart within their page, again for the caches.
const SHIFT: usize = 128;
const SHIFTS: usize = 8;

/// Room at the top of each stack for whoever runs on it.
pub(super) const HEADER: usize = 128;

/// Stacks of one size, for one thread.
#[derive(Debug, Clone)]
pub(super) struct Stacks(Rc<Shop>);

#[derive(Debug)]
struct Shop {
    size: usize,
    stride: usize,
    how: Option<Guard>,
    /// By their first addresses. They last as long as any of their stacks.
    slabs: RefCell<BTreeMap<usize, Region>>,
    /// The tops of stacks that nobody has.
    free: RefCell<Vec<usize>>,
}

/// Memory that a task runs on.
#[derive(Debug)]
pub(super) struct Stack {
    /// Where it begins; it grows downwards.
    base: usize,
    shop: Rc<Shop>,
}

impl Stacks {
    /// Stacks of at least `size` bytes each.
    pub(super) fn new(size: usize, how: Option<Guard>) -> Self {
        let page = page_size();
        let size = size.max(MIN_STACK_SIZE).max(2 * page);
        let size = size.checked_next_multiple_of(page).unwrap_or(size & !(page - 1));
        let stride = size.saturating_add(GUARD_PAGES * page);
        let (slabs, free) = Default::default();
        Self(Rc::new(Shop { size, stride, how, slabs, free }))
    }

    pub(super) fn take(&self) -> io::Result<Stack> {
        let shop = &self.0;
        let mut free = shop.free.borrow_mut();
        let top = match free.pop() {
            Some(top) => top,
            None => {
                shop.more(&mut free)?;
                free.pop().ok_or(io::ErrorKind::OutOfMemory)?
            }
        };
        let shift = top / shop.stride % SHIFTS * SHIFT;
        Ok(Stack { base: top - HEADER - shift, shop: Rc::clone(shop) })
    }
}

impl Shop {
    fn more(&self, free: &mut Vec<usize>) -> io::Result<()> {
        let len = self.stride.checked_mul(SLAB).ok_or(io::ErrorKind::OutOfMemory)?;
        let slab = Region::reserve(len)?;
        for number in 0..SLAB {
            let start = number * self.stride;
            slab.guard(start..start + GUARD_PAGES * page_size(), self.how)?;
        }
        // The lowest comes out first, so that what is in use stays dense.
        free.extend((1..=SLAB).rev().map(|number| slab.start() + number * self.stride));
        self.slabs.borrow_mut().insert(slab.start(), slab);
        Ok(())
    }

    /// Gives back what lies in the stack under `top`.
    fn clear(&self, top: usize) {
        let slabs = self.slabs.borrow();
        let Some((first, slab)) = slabs.range(..top).next_back() else { return };
        let end = top - first;
        let start = end - self.stride + GUARD_PAGES * page_size();
        // Memory that cannot be given back, as when it is locked, is used again as it is.
        // SAFETY: what ran on it has ended, for it owned the stack that is dropped.
        let _ = unsafe { slab.discard(start..end) };
    }
}

impl Stack {
    fn top(&self) -> usize {
        self.base.next_multiple_of(page_size())
    }

    /// Room of [`HEADER`] bytes, which nothing that runs on the stack touches.
    pub(super) fn header(&self) -> NonNull<u8> {
        let place = ptr::with_exposed_provenance_mut(self.base);
        NonNull::new(place).expect("no mapping lies at address zero")
    }

    /// For the message about an overflow.
    pub(super) fn bounds(&self) -> Bounds {
        let start = self.top() - self.shop.stride;
        let guard = (start, start + GUARD_PAGES * page_size());
        Bounds { guard, size: self.shop.size, name: Cell::new(ptr::from_ref("")) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let top = self.top();
        self.shop.clear(top);
        self.shop.free.borrow_mut().push(top);
    }
}

// SAFETY: below the usable part lies a guard of several pages, which are part of the limits given
// here. The usable part is at least MIN_STACK_SIZE long, for it is two pages and more, of which the
// header and the shift take less than one. The base is aligned, as HEADER and SHIFT are.
unsafe impl corosensei::stack::Stack for Stack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.base).expect("no mapping lies at address zero")
    }

    fn limit(&self) -> StackPointer {
        let limit = self.top() - self.shop.stride;
        StackPointer::new(limit).expect("no mapping lies at address zero")
    }
}

#[cfg(all(test, target_os = "linux"))]
#[cfg(not(any(miri, aqueduct_loom)))]
mod tests {
    use super::*;
    use crate::sys::overflow;
    use crate::task::carrier::{Carrier, suspend};
    use std::hint::black_box;
    use std::os::fd::AsRawFd;

    /// Whether the page at this address can be read, by the word of the system.
    fn is_there(address: usize) -> bool {
        let (_reader, writer) = io::pipe().unwrap();
        // SAFETY: whatever the address is, the system looks and answers.
        unsafe { libc::write(writer.as_raw_fd(), address as *const libc::c_void, 1) == 1 }
    }

    fn ways() -> impl Iterator<Item = Option<Guard>> {
        let marked = Some(Guard::Marked);
        let region = Region::reserve(page_size()).unwrap();
        let known = region.guard(0..page_size(), marked).is_ok();
        [None, Some(Guard::Protected)].into_iter().chain(known.then_some(marked))
    }

    /// Every page of the guard, and the one above it.
    fn check(stack: &Stack) {
        let (low, high) = stack.bounds().guard;
        for page in (low..high).step_by(page_size()) {
            assert!(!is_there(page) && !is_there(page + page_size() - 1));
        }
        assert!(is_there(high) && is_there(stack.base));
        assert_eq!(stack.top() - high, stack.shop.size);
    }

    #[inline(never)]
    fn deep(n: usize) -> usize {
        let room = black_box([n; 100]);
        if n == 0 { 0 } else { 1 + deep(n - 1) + black_box(&room)[7] - n }
    }

    #[test]
    fn guards_survive_that_deep_stacks_are_given_back_and_used_again() {
        for how in ways() {
            let stacks = Stacks::new(256 << 10, how);
            for _ in 0..3 {
                // More than a slab.
                let list: Vec<_> = (0..SLAB + 20).map(|_| stacks.take().unwrap()).collect();
                list.iter().for_each(check);
                let mut carriers: Vec<_> = list
                    .into_iter()
                    .map(|stack| {
                        Carrier::new(stack, || {
                            assert_eq!(deep(100), 100);
                            suspend();
                            assert_eq!(deep(150), 150);
                        })
                    })
                    .collect();
                assert!(carriers.iter_mut().all(|carrier| !carrier.resume()));
                assert!(carriers.iter_mut().all(Carrier::resume));
            }
        }
    }

    #[test]
    fn what_is_given_back_is_zero_again_and_neighbours_are_left_alone() {
        for how in ways() {
            let stacks = Stacks::new(64 << 10, how);
            let list: Vec<_> = (0..2 * SLAB).map(|_| stacks.take().unwrap()).collect();
            let bottom = |stack: &Stack| stack.bounds().guard.1 as *mut u8;
            for stack in &list {
                // SAFETY: the lowest byte of a stack on which nothing runs.
                unsafe { bottom(stack).write(7) };
            }
            let mut kept = Vec::new();
            for (i, stack) in list.into_iter().enumerate() {
                if i % 3 == 0 {
                    kept.push(stack)
                }
            }
            for stack in &kept {
                check(stack);
                // SAFETY: as above.
                assert_eq!(unsafe { bottom(stack).read() }, 7);
            }
            let again: Vec<_> = (0..SLAB).map(|_| stacks.take().unwrap()).collect();
            for stack in &again {
                check(stack);
                // SAFETY: as above.
                assert_eq!(unsafe { bottom(stack).read() }, 0);
            }
        }
    }

    #[test]
    fn sizes_are_whole_pages_two_at_least_and_absurd_ones_are_refused() {
        let page = page_size();
        for (asked, got) in [(0, 2 * page), (1, 2 * page), (3 * page - 1, 3 * page)] {
            let stack = Stacks::new(asked, None).take().unwrap();
            assert_eq!(stack.shop.size, got);
            check(&stack);
        }
        for absurd in [usize::MAX, usize::MAX / SLAB, 1 << 50] {
            assert!(Stacks::new(absurd, None).take().is_err());
        }
    }

    #[test]
    fn stacks_outlive_their_shop() {
        let stacks = Stacks::new(64 << 10, Some(Guard::Protected));
        let stack = stacks.take().unwrap();
        drop(stacks);
        check(&stack);
    }

    #[test]
    #[ignore = "overflows its stack: run by the test of the message"]
    fn overflows_a_protected_stack() {
        let _signals = overflow::prepare().unwrap();
        let stack = Stacks::new(64 << 10, Some(Guard::Protected)).take().unwrap();
        Carrier::new(stack, || assert_eq!(deep(usize::MAX), 0)).resume();
    }

    #[test]
    fn an_overflow_of_a_protected_stack_says_so() {
        use std::os::unix::process::ExitStatusExt;
        let program = std::env::current_exe().unwrap();
        let test = "task::stack::tests::overflows_a_protected_stack";
        let args = ["--exact", test, "--ignored", "--nocapture", "--test-threads=1"];
        let output = std::process::Command::new(program).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("has overflowed its stack of 64 KiB"), "{said}");
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    }
}
