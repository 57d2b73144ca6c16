//! Streams whose calls can be made to end in time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Something that is read and written and has a deadline for each direction.
///
/// A deadline is a point in time. Once it has passed, every call of its direction fails with
/// `TimedOut`, before anything is tried; moved or cleared, it lets calls through again. Calls that
/// wait already hear of it. No call fails before it.
///
/// # Examples
///
/// ```
/// use aqueduct::source::Deadlines;
/// use std::io::{ErrorKind, Read, Result};
/// use std::time::{Duration, Instant};
///
/// /// The greeting of a peer that has a second for it, over whatever transport.
/// fn greeting<T: Read + Deadlines>(peer: &mut T) -> Result<[u8; 5]> {
///     peer.set_read_deadline(Some(Instant::now() + Duration::from_secs(1)));
///     let mut text = [0; 5];
///     peer.read_exact(&mut text)?;
///     peer.set_read_deadline(None);
///     Ok(text)
/// }
///
/// let (mut near, far) = aqueduct::duplex_with_capacity(16);
/// std::io::Write::write_all(&mut &far, b"hello")?;
/// assert_eq!(greeting(&mut near)?, *b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Deadlines {
    /// Until when reads may wait; `None` is for ever.
    fn set_read_deadline(&self, at: Option<Instant>);

    /// Until when writes may wait; `None` is for ever.
    fn set_write_deadline(&self, at: Option<Instant>);

    /// Both deadlines.
    fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
    }
}

macro_rules! through {
    ($($pointer:ty),*) => {$(
        impl<T: Deadlines + ?Sized> Deadlines for $pointer {
            fn set_read_deadline(&self, at: Option<Instant>) {
                (**self).set_read_deadline(at);
            }

            fn set_write_deadline(&self, at: Option<Instant>) {
                (**self).set_write_deadline(at);
            }

            fn set_deadline(&self, at: Option<Instant>) {
                (**self).set_deadline(at);
            }
        }
    )*};
}

through! { &T, &mut T, Box<T>, Rc<T>, Arc<T> }
