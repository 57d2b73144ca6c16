//! A child of fork(2) that ends without exec: it drops its copies of the streams, alone in its process.
#![cfg(target_os = "linux")]

#[path = "kit/mod.rs"]
mod kit;

use aqueduct::poll::Local;
use aqueduct::stream::Stream;
use kit::{Waiting, Way, registered, within};
use std::io::{self, Read, Write};

/// Runs `work` in a child, and says whether it came to its end.
fn in_a_child(work: impl FnOnce()) -> bool {
    #[expect(unsafe_code, reason = "std has no fork")]
    // SAFETY: the child touches what is its own alone, and takes no lock that a thread of its parent
    // may have held: there is one test, whose other thread waits. It ends without unwinding.
    unsafe {
        match libc::fork() {
            -1 => panic!("{}", io::Error::last_os_error()),
            0 => {
                work();
                libc::_exit(0)
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                status == 0
            }
        }
    }
}

#[test]
fn what_a_child_drops_its_parent_is_still_told_of() {
    within("a child that drops a stream", || {
        let _local = Local::new().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let mut stream = Some(registered(Way::Local, Stream::from_std(reader).unwrap()));
        assert!(in_a_child(|| drop(stream.take())));
        let mut stream = stream.expect("it was taken in the child alone");
        let late = Waiting::start(Way::Plain, 0, move || writer.write_all(b"late").unwrap());
        stream.read_exact(&mut [0; 4]).unwrap();
        late.join();
    });
}
