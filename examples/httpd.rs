//! httpd: serves the files below a folder.

mod util;

use aqueduct::http::{Cause, Failure, Files, Handler, Links, Server};
use aqueduct::net::TcpListener;
use aqueduct::task::Runtime;
use clap::{ArgAction, ArgMatches};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitCode, exit};
use std::thread;
use std::time::{Duration, Instant};
use util::port::number;
use util::{Signals, Tool, quoted, reason};

/// Where nothing else was said.
const ADDRESS: &str = "localhost:8080";

/// How long those may take that are under way when the end has come.
const GRACE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let tool = Tool::start("httpd");
    let matches = tool.arguments(command(), std::env::args_os());
    let workers = number(&tool, &matches, "workers", 1024).map_or_else(processors, |n| n as usize);
    let most = number(&tool, &matches, "max-connections", u64::from(u32::MAX));
    let timeout = number(&tool, &matches, "timeout", u64::MAX).map(Duration::from_secs);
    let address = text(&tool, &matches, "listen").unwrap_or(ADDRESS);
    // Workers are started with them held back.
    let signals = Signals::hold(&[libc::SIGTERM, libc::SIGINT]);
    let Some(files) = files(&tool, &matches) else { return tool.status() };
    let options = Options { address, workers: workers.max(1), most, timeout };
    let served = match matches.get_flag("verbose") {
        true => aqueduct::stderr().and_then(|log| serve(files.log(log), &options, signals)),
        false => serve(files, &options, signals),
    };
    match served {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            tool.warn_error("connections were closed", &error);
        }
        Err(error) => tool.warn_error(address, &error),
        Ok(()) => {}
    }
    tool.status()
}

struct Options<'m> {
    address: &'m str,
    workers: usize,
    /// Connections at a time.
    most: Option<u64>,
    timeout: Option<Duration>,
}

fn command() -> clap::Command {
    let names =
        util::option('i', "index", "NAME", "the file that stands for its folder; may be repeated");
    util::command("httpd", "Serves the files below a folder.")
        .arg(util::flag('a', "all", "serve and list names that begin with a dot, too"))
        .arg(util::option('d', "directory", "DIR", "the folder; the current one if not given"))
        .arg(util::flag('f', "follow", "follow symbolic links that lead out of the folder"))
        .arg(names.action(ArgAction::Append))
        .arg(util::option(
            'l',
            "listen",
            "ADDR",
            "HOST:PORT to listen at; localhost:8080 if not given",
        ))
        .arg(util::option('m', "max-connections", "N", "serve N connections at a time at most"))
        .arg(util::flag('n', "no-listing", "do not list folders"))
        .arg(util::option('t', "timeout", "SEC", "end a connection after SEC seconds of silence"))
        .arg(util::flag('v', "verbose", "write a line for each request to standard error"))
        .arg(util::option(
            'w',
            "workers",
            "N",
            "serve on N threads; one per processor if not given",
        ))
        .arg(util::flag('z', "precompressed", "send NAME.br, NAME.zst or NAME.gz for NAME"))
}

fn text<'m>(tool: &Tool, matches: &'m ArgMatches, name: &str) -> Option<&'m str> {
    let text = matches.get_one::<OsString>(name)?;
    Some(
        text.to_str()
            .unwrap_or_else(|| tool.misused(format_args!("invalid address: {}", quoted(text)))),
    )
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn files(tool: &Tool, matches: &ArgMatches) -> Option<Files> {
    let folder = matches.get_one::<OsString>("directory");
    let folder = folder.map_or_else(|| Path::new("."), Path::new);
    let files = match Files::new(folder) {
        Ok(files) => files,
        Err(error) => {
            tool.warn_error(util::quoted_if_needed(folder.as_os_str()), &error);
            return None;
        }
    };
    let files = files
        .listing(!matches.get_flag("no-listing"))
        .hidden(matches.get_flag("all"))
        .precompressed(matches.get_flag("precompressed"))
        .links(if matches.get_flag("follow") { Links::Followed } else { Links::Beneath });
    Some(match matches.get_many::<OsString>("index") {
        Some(names) => files.index(names),
        None => files,
    })
}

/// Serves until a signal comes, and then until all is answered. A second signal ends it at once.
fn serve<H>(handler: H, options: &Options<'_>, signals: Signals) -> io::Result<()>
where
    H: Handler + Send + Sync + 'static,
{
    let &Options { address, workers, most, timeout } = options;
    let mut server =
        Server::new(handler).max_connections(most.map(|most| most as usize)).on_failure(report);
    if timeout.is_some() {
        server = server
            .head_timeout(timeout)
            .idle_timeout(timeout)
            .read_timeout(timeout)
            .write_timeout(timeout);
    }
    let listener = TcpListener::bind(address)?;
    let bound = listener.local_addr()?;
    if address.ends_with(":0") {
        println!("{bound}");
    }
    let control = server.control();
    thread::spawn(move || {
        signals.wait();
        control.shutdown(Instant::now().checked_add(GRACE));
        signals.wait();
        exit(1);
    });
    Runtime::builder().workers(workers).name("httpd").run(|| server.serve(listener))?
}

fn report(failure: &Failure<'_>) {
    let what = format!("{} {}", failure.method(), failure.uri());
    match failure.cause() {
        Cause::Error(error) => eprintln!("httpd: {what}: {}", reason(error)),
        other => eprintln!("httpd: {what}: {other:?}"),
    }
}
