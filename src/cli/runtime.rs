//! `genset runtime`: what ONNX Runtime is here, and how to get one.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::common::{print, print_json};
use crate::runtime::{
    Candidate, Origin, Package, Probe, ProviderDevice, ProviderOption, Search, Verdict,
};
use crate::{Error, Kind, Result, runtime};

/// Show which ONNX Runtime is used, or install one
#[derive(Debug, clap::Args)]
pub(crate) struct RuntimeArgs {
    #[command(subcommand)]
    verb: RuntimeVerb,
}

#[derive(Debug, clap::Subcommand)]
enum RuntimeVerb {
    /// List every place that is looked at, what is there, and what can be installed
    List {
        /// An ONNX Runtime library, or the folder that holds it
        #[arg(long, value_name = "PATH")]
        ort: Option<PathBuf>,
    },
    /// Fetch a pinned ONNX Runtime or provider through pip into genset's cache
    Install {
        /// What to fetch: onnxruntime, openvino, cuda or tensorrt-rtx
        #[arg(default_value = Package::OnnxRuntime.name())]
        name: String,
    },
    /// Load a library in this process and say what it is
    #[command(hide = true)]
    Probe {
        /// The library
        path: PathBuf,
    },
}

/// Runs the verb; `json` asks for one JSON document on stdout.
pub(crate) fn run(args: RuntimeArgs, json: bool) -> Result<()> {
    match args.verb {
        RuntimeVerb::List { ort } => list(ort, json),
        RuntimeVerb::Install { name } => install(&name, json),
        RuntimeVerb::Probe { path } => {
            let probe = runtime::probe(&path)?;
            if json {
                return print_json(&probe);
            }
            print(&format!("ONNX Runtime {} ({})\n", probe.version, probe.providers.join(", ")))
        }
    }
}

fn install(name: &str, json: bool) -> Result<()> {
    let package = Package::named(name)?;
    let path = runtime::install(package, &mut |line| eprintln!("{line}"))?;
    if json {
        let (name, version) = (package.name(), package.version());
        return print_json(&serde_json::json!({ "name": name, "version": version, "path": path }));
    }
    print(&format!("{}\n", path.display()))
}

/// One line of the list.
#[derive(Debug, Serialize)]
struct Row {
    origin: String,
    path: Option<PathBuf>,
    /// Whether this is the one that would be used.
    used: bool,
    /// `usable`, `absent` or `refused`.
    verdict: &'static str,
    /// Why it is not usable.
    why: Option<String>,
    version: Option<String>,
    providers: Option<Vec<String>>,
    /// What the installed plugins offer when this one is used.
    devices: Option<Vec<ProviderDevice>>,
    /// Why plugins could not be asked, if they could not.
    plugin_error: Option<String>,
}

/// Something that `install` takes.
#[derive(Debug, Serialize)]
struct Installable {
    /// What `install` calls it.
    name: &'static str,
    package: String,
    about: &'static str,
    /// Its library, if it is here.
    path: Option<PathBuf>,
    /// Whether there is one for this machine.
    available: bool,
}

#[derive(Debug, Serialize)]
struct List {
    candidates: Vec<Row>,
    packages: Vec<Installable>,
    /// The index of the candidate that would be used.
    used: Option<usize>,
    /// The error with which every other verb would end, if none can be used.
    error: Option<String>,
}

fn list(ort: Option<PathBuf>, json: bool) -> Result<()> {
    let search = Search { explicit: ort, ..Search::default() };
    let mut list = judge(runtime::candidates(&search));
    list.packages = Package::choices().into_iter().map(installable).collect();
    if json {
        return print_json(&list);
    }
    print(&table(&list))
}

/// Loads every candidate that looks usable, each in a process of its own, and picks the first.
fn judge(candidates: Vec<Candidate>) -> List {
    let mut list = List { candidates: Vec::new(), packages: Vec::new(), used: None, error: None };
    for Candidate { origin, path, verdict } in candidates {
        let mut row = Row {
            origin: origin.to_string(),
            path,
            used: false,
            verdict: "absent",
            why: None,
            version: None,
            providers: None,
            devices: None,
            plugin_error: None,
        };
        match verdict {
            Verdict::Absent(why) => row.why = Some(why),
            Verdict::Refused(error) => refuse(&mut row, &error),
            Verdict::Usable => match probe(row.path.as_deref()) {
                Ok(probe) => {
                    row.verdict = "usable";
                    row.version = Some(probe.version);
                    row.providers = Some(probe.providers);
                    row.devices = Some(probe.devices);
                    row.plugin_error = probe.plugin_error;
                }
                Err(error) => refuse(&mut row, &error),
            },
        }
        if list.used.is_none() && list.error.is_none() {
            choose(&mut list, &mut row, origin);
        }
        list.candidates.push(row);
    }
    if list.used.is_none() && list.error.is_none() {
        list.error = Some("no ONNX Runtime was found".into());
    }
    list
}

fn installable(package: Package) -> Installable {
    Installable {
        name: package.asked(),
        package: package.to_string(),
        about: package.about(),
        path: runtime::installed(package),
        available: package.is_pinned(),
    }
}

fn refuse(row: &mut Row, error: &Error) {
    row.verdict = "refused";
    row.why = Some(error.summary());
}

/// Takes a usable candidate; stops at a named one that is not.
fn choose(list: &mut List, row: &mut Row, origin: Origin) {
    match row.verdict {
        "usable" => {
            row.used = true;
            list.used = Some(list.candidates.len());
        }
        "refused" if origin.is_named() => {
            let why = row.why.as_deref().unwrap_or_default();
            list.error = Some(format!("{origin}: {why}"));
        }
        _ => {}
    }
}

/// Runs our own hidden verb, so that a library that crashes takes that process and not this one.
fn probe(path: Option<&Path>) -> Result<Probe> {
    let path = path.ok_or_else(|| Error::new(Kind::Runtime, "no path"))?;
    let own = std::env::current_exe()
        .map_err(|error| Error::new(Kind::Io, format!("cannot find this program: {error}")))?;
    runtime::probe_apart(Command::new(own).args(["runtime", "probe", "--json"]).arg(path))
}

fn table(list: &List) -> String {
    let mut text = String::from("ONNX Runtime, in the order in which it is looked for:\n\n");
    for row in &list.candidates {
        let mark = if row.used { '*' } else { ' ' };
        let what = match (&row.version, &row.providers) {
            (Some(version), Some(providers)) => format!("{version} ({})", providers.join(", ")),
            _ => format!("{}: {}", row.verdict, row.why.as_deref().unwrap_or("unknown")),
        };
        text.push_str(&format!("{mark} {:<15} {what}\n", row.origin));
        let shown = row.path.as_ref().map(|path| path.display().to_string());
        // A refusal names the file itself.
        if let Some(path) = shown.filter(|path| !what.contains(path.as_str())) {
            text.push_str(&format!("  {:<15} {path}\n", ""));
        }
    }
    text.push('\n');
    match (&list.used, &list.error) {
        (Some(_), _) => text.push_str("* is used\n"),
        (None, Some(error)) => {
            text.push_str(&format!("none is used: {error}\n"));
            text.push_str("`genset runtime install` fetches one that works\n");
        }
        (None, None) => {}
    }
    text.push_str("\nwhat `genset runtime install NAME` fetches:\n\n");
    for Installable { name, package, about, path, available } in &list.packages {
        let state = match (path, available) {
            (Some(_), _) => "installed",
            (None, true) => "not installed",
            (None, false) => "not for this machine",
        };
        text.push_str(&format!("  {name:<15} {state:<13} {package}: {about}\n"));
    }
    let used = list.used.and_then(|index| list.candidates.get(index));
    if let Some(error) = used.and_then(|row| row.plugin_error.as_ref()) {
        text.push_str(&format!("\nplugins cannot be asked for devices: {error}\n"));
    }
    let devices = used.and_then(|row| row.devices.as_deref()).unwrap_or_default();
    if !devices.is_empty() {
        text.push_str("\ndevices that plugins offer:\n\n");
        for ProviderDevice { provider, kind, vendor } in devices {
            text.push_str(&format!("  {provider} on {kind} by {vendor}\n"));
        }
    }
    text.push_str("\nwhat --provider-option sets:\n\n");
    for line in ProviderOption::table().lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(origin: Origin) -> Candidate {
        Candidate { origin, path: None, verdict: Verdict::Absent("not set".into()) }
    }

    fn refused(origin: Origin) -> Candidate {
        let verdict = Verdict::Refused(Error::new(Kind::Runtime, "too old"));
        Candidate { origin, path: Some("/old".into()), verdict }
    }

    #[test]
    fn a_named_candidate_that_cannot_work_ends_the_search() {
        let list = judge(vec![absent(Origin::Explicit), refused(Origin::GensetOrt)]);
        assert_eq!(list.error.as_deref(), Some("GENSET_ORT: too old"));
        assert!(table(&list).contains("none is used: GENSET_ORT: too old"));
    }

    #[test]
    fn a_found_candidate_that_cannot_work_is_passed_over() {
        let list = judge(vec![refused(Origin::Cache), absent(Origin::Python)]);
        assert_eq!(list.error.as_deref(), Some("no ONNX Runtime was found"));
        assert_eq!(list.candidates[0].why.as_deref(), Some("too old"));
    }
}
