//! The plan by table; and the engine by property: whatever the two ends are made of and whatever
//! the kernel refuses, what a copy does is what a few lines over a `Vec<u8>` say.
//!
//! A [`case`] is a random nest of adapters at both ends with random options. [`feed`] and
//! [`drain`] describe the nests, [`reader`] and [`writer`] build them, [`model`] foretells what
//! comes of them. [`sound`] copies where nothing fails, [`ailing`] where something does.
//! [`race`] is not random: a peer that is quicker than the engine.
//! A case takes no thread: pipes and sockets are large enough, and filled beforehand.

mod plan;

// The others make system calls that Miri does not know.
#[cfg(all(target_os = "linux", not(miri)))]
mod ailing;
#[cfg(all(target_os = "linux", not(miri)))]
mod case;
#[cfg(all(target_os = "linux", not(miri)))]
mod drain;
#[cfg(all(target_os = "linux", not(miri)))]
mod feed;
#[cfg(all(target_os = "linux", not(miri)))]
mod model;
#[cfg(all(target_os = "linux", not(miri)))]
mod race;
#[cfg(all(target_os = "linux", not(miri)))]
mod reader;
#[cfg(all(target_os = "linux", not(miri)))]
mod sound;
#[cfg(all(target_os = "linux", not(miri)))]
mod writer;
