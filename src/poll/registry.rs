//! The descriptors of one backend.

use super::backend::Driver;
use super::{Backend, Happening, Interest, Key, Mode, Side};
use crate::park::Unparker;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::sys::memory::prefetch;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

/// What the poller knows of a stream. It lies with the stream and is shared with the registry
/// that watches it, which may hold it a moment longer.
#[derive(Debug)]
pub(crate) struct Desc {
    pub(crate) read: Side,
    pub(crate) write: Side,
    home: Mutex<Home>,
    /// Where that is, for those who pass by at each read. The home itself keeps the registry's
    /// place from being anybody else's.
    address: AtomicPtr<Registry>,
}

/// Where a stream's events arrive. Nowhere, until somebody first has to wait for it there.
#[derive(Debug)]
enum Home {
    None,
    /// Never anywhere: no backend takes it, since it never makes anybody wait, or a stream of the
    /// same descriptor has come first.
    Nowhere,
    At(Weak<Registry>, Key),
}

/// So many events ahead what they concern is fetched into the cache: with thousands of streams it lies
/// outside, each time.
const AHEAD: usize = 3;

impl Desc {
    pub(crate) fn new() -> Arc<Self> {
        let (home, address) = (Mutex::new(Home::None), AtomicPtr::new(ptr::null_mut()));
        Arc::new(Self { read: Side::new(), write: Side::new(), home, address })
    }

    /// Makes `registry` the home if there is none; whether events arrive by themselves for whoever
    /// waits for `what` where `registry` is: at that one, or at another that is always tended, like it.
    pub(crate) fn settle(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        registry: &Arc<Registry>,
        what: Interest,
    ) -> io::Result<bool> {
        if !registry.backend.caps().arm && self.lives_at(registry) {
            return Ok(true);
        }
        if let Home::At(there, key) = &*self.home() {
            let Some(there) = there.upgrade() else { return Ok(false) };
            let arrives = Arc::ptr_eq(&there, registry) || registry.tended && there.tended;
            if arrives {
                there.backend.arm(fd, *key, what)?;
            }
            return Ok(arrives);
        }
        match self.visit(fd, registry, Interest::BOTH, Mode::Edge) {
            // There is no room for one more. It can be waited for all the same, and may have room later.
            Err(error)
                if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::OutOfMemory) =>
            {
                Ok(false)
            }
            settled => settled,
        }
    }

    /// Makes `registry` the home of what has none; `false` if it cannot be.
    pub(crate) fn visit(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        registry: &Arc<Registry>,
        what: Interest,
        mode: Mode,
    ) -> io::Result<bool> {
        let mut home = self.home();
        match &*home {
            Home::Nowhere => return Ok(false),
            Home::At(there, _) => return Ok(there.as_ptr() == Arc::as_ptr(registry)),
            Home::None => {}
        }
        match registry.open(fd, self, what, mode) {
            Ok(key) => {
                self.move_to(&mut home, Home::At(Arc::downgrade(registry), key));
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::AlreadyExists => {
                    self.move_to(&mut home, Home::Nowhere);
                    Ok(false)
                }
                _ => Err(error),
            },
        }
    }

    /// Whether events of `registry` keep the words up to date.
    pub(crate) fn lives_at(&self, registry: &Arc<Registry>) -> bool {
        ptr::eq(self.address.load(Ordering::Acquire), Arc::as_ptr(registry))
    }

    /// No events any more, before the descriptor is closed or given away.
    pub(crate) fn leave(&self, fd: BorrowedFd<'_>) {
        let home = self.move_to(&mut self.home(), Home::None);
        if let Home::At(there, key) = home {
            if let Some(registry) = there.upgrade() {
                registry.close(fd, key);
            }
        }
    }

    pub(crate) fn close(&self) {
        self.read.close();
        self.write.close();
    }

    /// Has what an event changes fetched into the cache.
    fn approach(&self) {
        prefetch((&raw const self.read).cast());
        prefetch((&raw const self.write).cast());
    }

    /// Answers where it was.
    fn move_to(&self, home: &mut Home, next: Home) -> Home {
        let address = match &next {
            Home::At(there, _) => there.as_ptr().cast_mut(),
            Home::None | Home::Nowhere => ptr::null_mut(),
        };
        self.address.store(address, Ordering::Release);
        std::mem::replace(home, next)
    }

    fn home(&self) -> MutexGuard<'_, Home> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backend and the descriptors it watches.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) backend: Driver,
    /// Somebody polls it whenever nothing else is to be done, so that everybody may rely on it;
    /// otherwise only its own thread, for itself.
    tended: bool,
    /// The process that made it. A child of fork(2) has the same backend, not one like it.
    process: u32,
    slots: Mutex<Slots>,
}

/// A key is a slot and its generation, so that an event of a descriptor that is gone, already on
/// its way, never reaches the one that came after it.
#[derive(Debug, Default)]
struct Slots {
    list: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// Until it leaves.
    desc: Option<Arc<Desc>>,
}

/// Scratch room of who polls.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    list: Vec<Happening>,
    woken: Vec<Unparker>,
}

impl Registry {
    /// With the backend of `choice`, or that which the environment asks for, or the system's best.
    pub(crate) fn new(choice: Option<Backend>, tended: bool) -> io::Result<Arc<Self>> {
        let backend = Driver::new(choice)?;
        let process = std::process::id();
        Ok(Arc::new(Self { backend, tended, process, slots: Mutex::default() }))
    }

    pub(crate) fn kind(&self) -> Backend {
        self.backend.kind()
    }

    pub(super) fn drains(&self) -> bool {
        self.backend.caps().drains
    }

    pub(super) fn is_tended(&self) -> bool {
        self.tended
    }

    fn open(
        &self,
        fd: BorrowedFd<'_>,
        desc: &Arc<Desc>,
        what: Interest,
        mode: Mode,
    ) -> io::Result<Key> {
        let key = self.slots().insert(Arc::clone(desc));
        let opened = self.backend.open(fd, key, what, mode);
        if opened.is_err() {
            self.slots().remove(key);
        }
        opened.map(|()| key)
    }

    fn close(&self, fd: BorrowedFd<'_>, key: Key) {
        // What a child drops, its parent may wait for.
        if std::process::id() == self.process {
            // Whatever it answers, the slot must go: its generation keeps late events away.
            let _ = self.backend.close(fd);
        }
        self.slots().remove(key);
    }

    /// Polls once and tells those whom it concerns, `awake` being called in between.
    pub(crate) fn turn(
        &self,
        until: Option<Instant>,
        batch: &mut Batch,
        awake: impl FnOnce(),
    ) -> io::Result<()> {
        let Batch { list, woken } = batch;
        list.clear();
        let result = self.backend.poll(until, list);
        awake();
        if !list.is_empty() {
            let slots = self.slots();
            for (at, happening) in list.iter().enumerate() {
                if let Some(next) = list.get(at + AHEAD).and_then(|next| slots.get(next.key)) {
                    next.approach();
                }
                let Some(desc) = slots.get(happening.key) else { continue };
                if happening.readable {
                    woken.extend(desc.read.ready_for(happening.hung_up));
                }
                if happening.writable {
                    woken.extend(desc.write.ready_for(happening.hung_up));
                }
            }
        }
        // Those who are woken may want the slots.
        for at in 0..woken.len() {
            if let Some(next) = woken.get(at + AHEAD) {
                next.approach();
            }
            woken[at].unpark();
        }
        woken.clear();
        result.map(drop)
    }

    /// Ends what the backend carries out, and waits until it has ended.
    pub(crate) fn ground(&self) {
        if let Some(submit) = self.backend.submit() {
            submit.ground();
        }
    }

    /// Sends everybody away, to register anew elsewhere.
    pub(crate) fn evict(&self) {
        let Slots { list, .. } = std::mem::take(&mut *self.slots());
        for desc in list.into_iter().filter_map(|slot| slot.desc) {
            desc.move_to(&mut desc.home(), Home::None);
            desc.read.recheck();
            desc.write.recheck();
        }
        self.backend.retire();
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn insert(&mut self, desc: Arc<Desc>) -> Key {
        let desc = Some(desc);
        let index = match self.free.pop() {
            Some(index) => {
                self.list[index as usize].desc = desc;
                index
            }
            None => {
                self.list.push(Slot { generation: 0, desc });
                (self.list.len() - 1) as u32
            }
        };
        key(index, self.list[index as usize].generation)
    }

    fn get(&self, key: Key) -> Option<&Arc<Desc>> {
        let (index, generation) = (key as u32, (key >> 32) as u32);
        let slot = self.list.get(index as usize)?;
        if slot.generation == generation { slot.desc.as_ref() } else { None }
    }

    fn remove(&mut self, key: Key) {
        let (index, generation) = (key as u32, (key >> 32) as u32);
        if let Some(slot) = self.list.get_mut(index as usize) {
            if slot.generation == generation {
                slot.generation = (generation + 1) & GENERATIONS;
                slot.desc = None;
                self.free.push(index);
            }
        }
    }
}

/// One bit short, so that no key is the one by which backends are woken.
const GENERATIONS: u32 = u32::MAX >> 1;

fn key(index: u32, generation: u32) -> Key {
    Key::from(generation) << 32 | Key::from(index)
}

#[cfg(test)]
#[cfg(not(aqueduct_loom))]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use std::os::fd::AsFd;

    #[test]
    fn an_event_of_a_former_generation_reaches_nobody() {
        let mut slots = Slots::default();
        let (first, second) = (Desc::new(), Desc::new());
        let old = slots.insert(Arc::clone(&first));
        assert!(slots.get(old).is_some_and(|desc| Arc::ptr_eq(desc, &first)));
        slots.remove(old);
        let new = slots.insert(Arc::clone(&second));
        assert_eq!(old as u32, new as u32, "the slot is used again");
        assert!(slots.get(old).is_none());
        slots.remove(old);
        assert!(slots.get(new).is_some_and(|desc| Arc::ptr_eq(desc, &second)));
        slots.remove(new);
        assert!(slots.get(new).is_none());
        assert_eq!(Arc::strong_count(&second), 1);
    }

    #[test]
    fn no_key_is_that_of_a_wake_and_generations_begin_again() {
        assert!(key(u32::MAX, GENERATIONS) < Key::MAX);
        let mut slots = Slots::default();
        let desc = Desc::new();
        let first = slots.insert(Arc::clone(&desc));
        slots.list[0].generation = GENERATIONS;
        slots.remove(first);
        assert_eq!(slots.list[0].generation, GENERATIONS, "it is not the slot of that key");
        slots.remove(key(0, GENERATIONS));
        assert_eq!(slots.insert(Arc::clone(&desc)), first);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_stream_lives_where_it_first_settled_until_it_leaves_or_is_sent_away() {
        let (reader, _writer) = io::pipe().unwrap();
        let fd = reader.as_fd();
        let [one, two] = [(); 2].map(|()| Registry::new(None, false).unwrap());
        let desc = Desc::new();
        assert!(desc.settle(fd, &one, Interest::BOTH).unwrap());
        assert!(desc.settle(fd, &one, Interest::BOTH).unwrap() && desc.lives_at(&one));
        assert!(!desc.settle(fd, &two, Interest::BOTH).unwrap() && !desc.lives_at(&two));
        desc.leave(fd);
        assert!(desc.settle(fd, &two, Interest::BOTH).unwrap());
        two.evict();
        assert!(!desc.lives_at(&two));
        assert!(desc.settle(fd, &one, Interest::BOTH).unwrap(), "it had left");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_descriptor_has_one_stream_at_a_backend() {
        let (reader, _writer) = io::pipe().unwrap();
        let registry = Registry::new(None, false).unwrap();
        let (first, second) = (Desc::new(), Desc::new());
        assert!(first.settle(reader.as_fd(), &registry, Interest::BOTH).unwrap());
        assert!(!second.settle(reader.as_fd(), &registry, Interest::BOTH).unwrap());
        first.leave(reader.as_fd());
        assert!(
            !second.settle(reader.as_fd(), &registry, Interest::BOTH).unwrap(),
            "nowhere is for good"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_event_reaches_the_stream_and_says_what_happened() {
        let (reader, writer) = io::pipe().unwrap();
        let registry = Registry::new(None, false).unwrap();
        let desc = Desc::new();
        desc.settle(reader.as_fd(), &registry, Interest::BOTH).unwrap();
        let _ = desc.read.word().drained(desc.read.begin().unwrap().seen);
        let turn = || registry.turn(Some(Instant::now()), &mut Batch::default(), || {}).unwrap();
        turn();
        assert!(!desc.read.begin().unwrap().seen.is_ready());
        drop(writer);
        turn();
        let seen = desc.read.begin().unwrap().seen;
        assert!(seen.is_ready() && seen.is_hung_up());
        desc.leave(reader.as_fd());
    }
}

#[cfg(all(test, aqueduct_loom))]
mod loom_models;
