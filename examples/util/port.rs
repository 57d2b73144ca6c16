//! Servers that listen at a port of the loopback.

use super::Tool;
use aqueduct::http::{Handler, Server};
use aqueduct::net::TcpListener;
use aqueduct::task::Runtime;
use clap::ArgMatches;
use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;

/// Threads that serve, unless told otherwise.
const WORKERS: usize = 2;

/// Serves HTTP at the port that the command line names, until a signal ends the process.
pub(crate) fn serve<H>(tool: &Tool, command: clap::Command, server: &Server<H>)
where
    H: Handler + Send + Sync + 'static,
{
    let port = clap::Arg::new("PORT").required(true).value_parser(clap::value_parser!(OsString));
    let command = command
        .arg(port.help(
            "the port to listen at, on the loopback; 0 is any that is free, which is written to \
             standard output",
        ))
        .arg(super::option('w', "workers", "N", "serve on N threads; 2 if not given"));
    let matches = tool.arguments(command, std::env::args_os());
    let port = number(tool, &matches, "PORT", u64::from(u16::MAX)).unwrap_or(0);
    let workers = number(tool, &matches, "workers", 1024).map_or(WORKERS, |n| n.max(1) as usize);
    // They fit: that was asked for.
    if let Err(error) = serve_at(port as u16, workers, server) {
        tool.warn_error(format_args!("port {port}"), &error);
    }
}

/// A number of the command line, of at most `most`.
pub(crate) fn number(tool: &Tool, matches: &ArgMatches, name: &str, most: u64) -> Option<u64> {
    let text = matches.get_one::<OsString>(name)?;
    let number = text.to_str().and_then(|text| text.parse::<u64>().ok());
    match number.filter(|&number| number <= most) {
        Some(number) => Some(number),
        None => tool.misused(format_args!("invalid number: {}", super::quoted(text))),
    }
}

fn serve_at<H>(port: u16, workers: usize, server: &Server<H>) -> io::Result<()>
where
    H: Handler + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    if port == 0 {
        println!("{}", listener.local_addr()?.port());
    }
    Runtime::builder().workers(workers).run(|| server.serve(listener))?
}
