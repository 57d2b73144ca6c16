//! What other threads need of a worker: where to leave news, and how to wake it.

use super::bell::Bell;
use super::job::Run;
use super::worker;
use crate::poll::Registry;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, PoisonError, Weak};

/// News for a worker.
pub(super) enum Post {
    /// The task in this place was woken.
    Wake(u32),
    /// A task that is to start.
    Start(Arc<dyn Run>),
    /// All tasks are cancelled, and no more are taken in.
    Stop,
}

/// The side of a worker that others see.
pub(super) struct Office {
    /// The worker's. Whoever still knows how to wake one of its tasks keeps none of its descriptors.
    registry: Weak<Registry>,
    bell: Bell,
    inbox: Mutex<Inbox>,
    /// Tasks that it has taken in and that have not ended. Only the worker writes it.
    live: AtomicUsize,
    /// Tasks that were left in the inbox.
    left: AtomicUsize,
}

#[derive(Default)]
struct Inbox {
    closed: bool,
    posts: Vec<Post>,
}

impl Office {
    pub(super) fn new(registry: &Arc<Registry>) -> Arc<Self> {
        Arc::new(Self {
            registry: Arc::downgrade(registry),
            bell: Bell::new(),
            inbox: Mutex::default(),
            live: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        })
    }

    /// The task in `place`, which had stopped, is to run.
    pub(super) fn wake(self: &Arc<Self>, place: u32) {
        if !worker::enqueue_here(self, place) {
            // A worker that is gone has left its tasks for good.
            let _ = self.post(Post::Wake(place));
        }
    }

    /// Leaves `post`, or gives it back if nobody will collect it.
    pub(super) fn post(&self, post: Post) -> Result<(), Post> {
        let mut inbox = self.inbox();
        if inbox.closed {
            return Err(post);
        }
        if let Post::Start(_) = post {
            self.left.fetch_add(1, Ordering::Relaxed);
        }
        inbox.posts.push(post);
        drop(inbox);
        if self.bell.ring() {
            if let Some(registry) = self.registry.upgrade() {
                registry.backend.wake();
            }
        }
        Ok(())
    }

    /// Whether [`collect`](Self::collect) would find something.
    pub(super) fn has_news(&self) -> bool {
        self.bell.is_rung()
    }

    /// How many tasks it has.
    pub(super) fn load(&self) -> usize {
        self.live.load(Ordering::Relaxed) + self.left.load(Ordering::Relaxed)
    }

    /// The worker has taken a task in, or one has ended. Nobody else calls this, so that it need
    /// not be one step.
    pub(super) fn count(&self, more: bool) {
        let live = self.live.load(Ordering::Relaxed);
        let now = if more { live + 1 } else { live.saturating_sub(1) };
        self.live.store(now, Ordering::Relaxed);
    }

    /// A task that was left in the inbox is there no more.
    pub(super) fn fetched(&self) {
        self.left.fetch_sub(1, Ordering::Relaxed);
    }

    /// Moves all news to `posts`.
    pub(super) fn collect(&self, posts: &mut Vec<Post>) {
        self.bell.answer();
        mem::swap(posts, &mut self.inbox().posts);
    }

    /// Sleeps by `wait`, unless there is news.
    pub(super) fn sleep(&self, wait: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !self.bell.doze() {
            return Ok(());
        }
        let result = wait();
        self.bell.rise();
        result
    }

    /// Nothing more is taken in; what was left last.
    pub(super) fn close(&self) -> Vec<Post> {
        let mut inbox = self.inbox();
        inbox.closed = true;
        mem::take(&mut inbox.posts)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Office {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Office").field("tasks", &self.load()).finish_non_exhaustive()
    }
}
