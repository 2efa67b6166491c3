//! `genset completions` and `genset man`: both derived from the command's own definition.

use clap::Command;
use clap_complete::Shell;
use serde_json::json;

use super::common::{print, print_json};
use crate::error::{Error, Kind, Result};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The page of this verb
    verb: Option<String>,
}

pub(super) fn completions(args: &CompletionsArgs, command: &mut Command, json: bool) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "genset", &mut script);
    let script = String::from_utf8_lossy(&script);
    if json {
        return print_json(&json!({ "shell": args.shell.to_string(), "script": script }));
    }
    print(&script)
}

pub(super) fn man(args: &ManArgs, mut command: Command, json: bool) -> Result<()> {
    command.build();
    let page = match &args.verb {
        None => command,
        Some(verb) => {
            let found = command.find_subcommand(verb).cloned();
            let names = command.get_subcommands().filter(|c| !c.is_hide_set());
            let names: Vec<_> = names.map(Command::get_name).collect();
            let found = found.ok_or_else(|| {
                Error::new(Kind::Argument, format!("there is no verb `{verb}`"))
                    .help(format!("there are: {}", names.join(", ")))
            })?;
            // `genset-bench`, as git has it; clap keeps names for the life of the program.
            found.name(format!("genset-{verb}").leak() as &'static str)
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|e| Error::new(Kind::Io, format!("cannot write the page: {e}")))?;
    let page = String::from_utf8_lossy(&text);
    if json {
        return print_json(&json!({ "verb": args.verb, "page": page }));
    }
    print(&page)
}
