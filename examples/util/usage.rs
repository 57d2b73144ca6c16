//! Command lines: clap does the work, with the habits and the words of Unix tools.

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{Arg, ArgAction, Command};

/// A command with `--help` and `--version`, whose options may be given twice (the last counts)
/// and shortened.
pub(crate) fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .bin_name(name)
        .about(about)
        .version(concat!("(Aqueduct) ", env!("CARGO_PKG_VERSION")))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .infer_long_args(true)
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("say this and exit"))
        .arg(
            Arg::new("version")
                .long("version")
                .action(ArgAction::Version)
                .help("say the version and exit"),
        )
}

/// An option without a value, asked for by its long name.
pub(crate) fn flag(short: char, long: &'static str, help: &'static str) -> Arg {
    Arg::new(long).short(short).long(long).action(ArgAction::SetTrue).help(help)
}

/// An option without a value that has no long name: asked for by its letter.
pub(crate) fn short_flag(letter: &'static str, help: &'static str) -> Arg {
    Arg::new(letter).short(letter.chars().next()).action(ArgAction::SetTrue).help(help)
}

/// An option with a value, which may begin with a hyphen.
pub(crate) fn option(
    short: char,
    long: &'static str,
    value: &'static str,
    help: &'static str,
) -> Arg {
    Arg::new(long)
        .short(short)
        .long(long)
        .value_name(value)
        .allow_hyphen_values(true)
        .value_parser(ValueParser::os_string())
        .help(help)
}

/// The operands that are no options: any number, any bytes.
pub(crate) fn operands(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).num_args(0..).value_parser(ValueParser::os_string()).help(help)
}

/// What getopt would say of a mistake.
pub(super) fn complaint(error: &Error) -> String {
    let of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // clap names an option with its value: "--bytes <NUM>".
    let named = of(ContextKind::InvalidArg);
    let option = named.split([' ', '=', '[']).next().unwrap_or(named);
    match error.kind() {
        ErrorKind::UnknownArgument => match option.strip_prefix("--") {
            Some(_) => format!("unrecognized option '{option}'"),
            // The letter itself may be one of those that end a name.
            None => format!("invalid option -- '{}'", named.chars().nth(1).unwrap_or('-')),
        },
        ErrorKind::InvalidValue if of(ContextKind::InvalidValue).is_empty() => {
            format!("option '{option}' requires an argument")
        }
        ErrorKind::InvalidValue => {
            format!("invalid argument '{}' for '{option}'", of(ContextKind::InvalidValue))
        }
        ErrorKind::TooManyValues => format!("option '{option}' doesn't allow an argument"),
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    }
}
