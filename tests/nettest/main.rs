//! What Go asks of its connections, in `nettest.TestConn` and the tests of net and os, asked of
//! ours: over every transport, on threads and on tasks, and mixed in many ways.
#![cfg(target_os = "linux")]

mod conn;
mod deadlines;
#[path = "../kit/mod.rs"]
mod kit;
mod rows;
mod semantics;

macro_rules! over {
    ($($transport:ident: $($test:ident)*;)*) => {$(
        mod $transport {
            $(#[test]
            fn $test() {
                for way in crate::kit::Way::all() {
                    way.run(stringify!($test), move || {
                        let pair = crate::conn::settled(way, crate::conn::$transport());
                        crate::semantics::$test(way, pair);
                    });
                }
            })*
        }
    )*};
}

macro_rules! everything {
    ($($transport:ident)*) => {
        over! {$(
            $transport:
                basic_io
                ping_pong
                racy_read
                racy_write
                a_read_timeout_leaves_writes_alone
                a_write_timeout_leaves_reads_alone
                a_past_deadline_fails_at_once_and_again
                a_deadline_set_while_calls_wait_ends_them
                a_future_deadline_is_never_early_and_can_be_lifted
                a_deadline_that_is_cleared_or_put_off_does_not_fire
                close_ends_what_waits_and_what_comes
                close_ends_the_queue
                a_deadline_ends_the_queue
                concurrent_methods
                deadlines_fluctuate
                various_deadlines_against_a_fast_writer
                deadlines_put_off_during_a_transfer
                writes_do_not_mix;
        )*}
    };
}

everything! { tcp unix net_tcp net_unix pipes terminals duplexes }

// The others write what nobody reads yet.
over! {
    rendezvous:
        basic_io
        ping_pong
        racy_read
        racy_write
        a_read_timeout_leaves_writes_alone
        a_write_timeout_leaves_reads_alone
        a_deadline_set_while_calls_wait_ends_them
        a_future_deadline_is_never_early_and_can_be_lifted
        close_ends_what_waits_and_what_comes
        close_ends_the_queue
        a_deadline_ends_the_queue
        concurrent_methods
        deadlines_fluctuate
        various_deadlines_against_a_fast_writer
        deadlines_put_off_during_a_transfer
        writes_do_not_mix;
}
