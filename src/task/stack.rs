//! The stacks of tasks: slabs of address space, a guard below each stack.
#![expect(unsafe_code, reason = "a stack is an address range that machine code writes to")]

use crate::sys::memory::{Guard, Region, page_size};
use crate::sys::overflow::Bounds;
use corosensei::stack::{MIN_STACK_SIZE, STACK_ALIGNMENT, StackPointer};
use std::cell::{Cell, RefCell};
use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

/// A guard is wider than one page, for foreign code that jumps ahead without touching what it
/// passes. An odd number of pages, so that the tops of stacks fall into different sets of the
/// caches although stacks are powers of two.
const GUARD_PAGES: usize = 3;

/// So many stacks are mapped at once.
const SLAB: usize = 64;

/// The tops of neighbouring stacks start so many bytes apart within their page, again for the caches.
const SHIFT: usize = 128;
const SHIFTS: usize = 8;

/// Stacks of one size, for one thread.
#[derive(Debug, Clone)]
pub(super) struct Stacks(Rc<Shop>);

#[derive(Debug)]
struct Shop {
    size: usize,
    how: Option<Guard>,
    free: RefCell<Vec<Place>>,
}

/// Where a stack lies: a slab, and its number in it.
#[derive(Debug)]
struct Place {
    slab: Arc<Region>,
    number: usize,
}

/// Memory that a task runs on.
#[derive(Debug)]
pub(super) struct Stack {
    place: Option<Place>,
    size: usize,
    shop: Rc<Shop>,
}

impl Stacks {
    /// Stacks of at least `size` bytes each.
    pub(super) fn new(size: usize, how: Option<Guard>) -> Self {
        let size = size.max(MIN_STACK_SIZE).max(2 * page_size());
        let size = size.checked_next_multiple_of(page_size()).unwrap_or(size & !(page_size() - 1));
        Self(Rc::new(Shop { size, how, free: RefCell::default() }))
    }

    pub(super) fn take(&self) -> io::Result<Stack> {
        let mut free = self.0.free.borrow_mut();
        if free.is_empty() {
            self.0.more(&mut free)?;
        }
        Ok(Stack { place: free.pop(), size: self.0.size, shop: Rc::clone(&self.0) })
    }
}

impl Shop {
    fn stride(&self) -> usize {
        self.size + GUARD_PAGES * page_size()
    }

    fn more(&self, free: &mut Vec<Place>) -> io::Result<()> {
        let len = self.stride().checked_mul(SLAB).ok_or(io::ErrorKind::OutOfMemory)?;
        let slab = Region::reserve(len)?;
        for number in 0..SLAB {
            let start = number * self.stride();
            slab.guard(start..start + GUARD_PAGES * page_size(), self.how)?;
        }
        let slab = Arc::new(slab);
        // The lowest comes out first, so that the slabs in use stay dense.
        free.extend((0..SLAB).rev().map(|number| Place { slab: Arc::clone(&slab), number }));
        Ok(())
    }
}

impl Stack {
    fn start(&self) -> usize {
        // It is taken in `drop` alone.
        let place = self.place.as_ref().expect("a stack has a place until it is dropped");
        place.slab.start() + place.number * self.shop.stride()
    }

    fn top(&self) -> usize {
        self.start() + self.shop.stride()
    }

    /// For the message about an overflow.
    pub(super) fn bounds(&self) -> Bounds {
        let start = self.start();
        let guard = (start, start + GUARD_PAGES * page_size());
        Bounds { guard, size: self.size, name: Cell::new(std::ptr::from_ref("")) }
    }

}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let start = place.number * self.shop.stride();
        let range = start + GUARD_PAGES * page_size()..start + self.shop.stride();
        // Memory that cannot be given back, as when it is locked, is used again as it is.
        // SAFETY: what ran on it has ended, for it owned this value.
        let _ = unsafe { place.slab.discard(range) };
        self.shop.free.borrow_mut().push(place);
    }
}

// SAFETY: below the usable part lies a guard of several pages, which are part of the limits given
// here; the usable part is at least MIN_STACK_SIZE, for the size is two pages and more, and SHIFT *
// SHIFTS is less than one.
unsafe impl corosensei::stack::Stack for Stack {
    fn base(&self) -> StackPointer {
        let number = self.place.as_ref().map_or(0, |place| place.number);
        let base = self.top() - number % SHIFTS * SHIFT;
        debug_assert_eq!(base % STACK_ALIGNMENT, 0);
        NonZeroUsize::new(base).expect("no mapping lies at address zero")
    }

    fn limit(&self) -> StackPointer {
        NonZeroUsize::new(self.start()).expect("no mapping lies at address zero")
    }
}
