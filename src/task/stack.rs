//! The stacks of tasks: slabs of address space, a guard below each stack.
#![expect(unsafe_code, reason = "a stack is an address range that machine code writes to")]

use crate::sys::memory::{Guard, Region, page_size};
use crate::sys::overflow::Bounds;
use corosensei::stack::{MIN_STACK_SIZE, StackPointer};
use std::cell::{Cell, RefCell};
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
    /// They last as long as any of their stacks.
    slabs: RefCell<Vec<Region>>,
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
        self.slabs.borrow_mut().push(slab);
        Ok(())
    }

    /// Gives back what lies in the stack under `top`.
    fn clear(&self, top: usize) {
        for slab in self.slabs.borrow().iter().rev() {
            let end = top.wrapping_sub(slab.start());
            if self.stride <= end && end <= SLAB * self.stride {
                let start = end - self.stride + GUARD_PAGES * page_size();
                // Memory that cannot be given back, as when it is locked, is used again as it is.
                // SAFETY: what ran on it has ended, for it owned the stack that is dropped.
                let _ = unsafe { slab.discard(start..end) };
                return;
            }
        }
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
