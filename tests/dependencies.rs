//! What is built on: licences, purity of the core, one version, one binary.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Licences under which a crate may come with an MIT product. No copyleft, not even per file (MPL).
const LICENCES: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Everything that dsx-core may be linked with: data structures, text and numbers.
const CORE: [&str; 28] = [
    "base64",
    "deranged",
    "dsx-core",
    "dsx-protocol",
    "itoa",
    "memchr",
    "num-conv",
    "num-traits",
    "powerfmt",
    "proc-macro2",
    "quote",
    "rmp",
    "rmp-serde",
    "serde",
    "serde_bytes",
    "serde_core",
    "serde_derive",
    "serde_json",
    "syn",
    "thiserror",
    "thiserror-impl",
    "time",
    "time-core",
    "time-macros",
    "tinyvec",
    "unicode-ident",
    "unicode-normalization",
    "zmij",
];

struct Workspace {
    packages: Vec<Value>,
    /// Of each package, the ids of those that it is linked with.
    linked: BTreeMap<String, Vec<String>>,
}

impl Workspace {
    /// For every platform where the registry can be reached or all is there already, else for this one only.
    fn read() -> Self {
        let host = host();
        let attempts: [&[&str]; 3] = [&["--offline"], &[], &["--offline", "--filter-platform", &host]];
        let mut said = String::new();
        for more in attempts {
            match metadata(more) {
                Ok(metadata) => return Self::of(&metadata),
                Err(why) => said.push_str(&why),
            }
        }
        panic!("cargo metadata failed:\n{said}");
    }

    fn of(metadata: &Value) -> Self {
        let mut linked = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let deps = node["deps"].as_array().unwrap().iter();
            // A build script or a test of a dependency is not in what is built of it.
            let normal =
                deps.filter(|d| d["dep_kinds"].as_array().unwrap().iter().any(|k| k["kind"].is_null()));
            linked.insert(text(&node["id"]), normal.map(|d| text(&d["pkg"])).collect());
        }
        Self { packages: metadata["packages"].as_array().unwrap().clone(), linked }
    }

    fn package(&self, name: &str) -> &Value {
        self.packages.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("no package {name}"))
    }

    /// Those of this repository.
    fn own(&self) -> impl Iterator<Item = &Value> {
        self.packages.iter().filter(|p| p["source"].is_null())
    }

    /// The names of all that a package is linked with, itself among them.
    fn closure(&self, name: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut left = vec![text(&self.package(name)["id"])];
        while let Some(id) = left.pop() {
            if seen.insert(id.clone()) {
                left.extend(self.linked[&id].iter().cloned());
            }
        }
        self.packages
            .iter()
            .filter(|p| seen.contains(p["id"].as_str().unwrap()))
            .map(|p| text(&p["name"]))
            .collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn host() -> String {
    let said = Command::new("rustc").arg("-vV").output().expect("running rustc");
    let said = String::from_utf8(said.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

fn metadata(more: &[&str]) -> Result<Value, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--format-version", "1"]).args(more).stdin(Stdio::null());
    let said =
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).output().expect("running cargo");
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned());
    }
    serde_json::from_slice(&said.stdout).map_err(|e| e.to_string())
}

/// Whether a licence expression can be met with the licences above. `/` is an old way to write `OR`.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&tokens, &mut at);
    met && at == tokens.len()
}

fn any(tokens: &[&str], at: &mut usize) -> bool {
    let mut met = every(tokens, at);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= every(tokens, at);
    }
    met
}

fn every(tokens: &[&str], at: &mut usize) -> bool {
    let mut met = one(tokens, at);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(tokens, at);
    }
    met
}

fn one(tokens: &[&str], at: &mut usize) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let met = any(tokens, at);
        let closed = tokens.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    // An exception only ever gives more rights.
    if tokens.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    LICENCES.contains(token)
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    for good in ["MIT", "MIT/GPL-3.0", "GPL-2.0 OR (MIT AND Zlib)", "Apache-2.0 WITH LLVM-exception AND MIT"]
    {
        assert!(allowed(good), "{good}");
    }
    for bad in
        ["", "MPL-2.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND MPL-2.0", "MIT)", "(MIT", "MIT MIT"]
    {
        assert!(!allowed(bad), "{bad}");
    }
}

#[test]
fn every_crate_has_a_licence_that_we_may_use() {
    let workspace = Workspace::read();
    assert!(workspace.packages.len() > 50, "{} packages", workspace.packages.len());
    let refused: Vec<String> = workspace
        .packages
        .iter()
        .filter(|p| !p["license"].as_str().is_some_and(allowed))
        .map(|p| format!("{} {}: {}", p["name"], p["version"], p["license"]))
        .collect();
    assert!(refused.is_empty(), "licences to look at:\n{}", refused.join("\n"));
}

#[test]
fn the_core_is_linked_with_nothing_that_does_io() {
    let closure = Workspace::read().closure("dsx-core");
    let unknown: Vec<&String> = closure.iter().filter(|name| !CORE.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "dsx-core would be linked with {unknown:?}: is each of them without IO?");
    // The rule sees through more than one step, and would notice.
    let shell = Workspace::read().closure("dsx");
    assert!(["tokio", "mio", "nix", "rustix", "libc", "rusqlite"].iter().all(|name| shell.contains(*name)));
}

#[test]
fn there_is_one_version_and_one_binary_called_dsx() {
    let workspace = Workspace::read();
    let version = &workspace.package("dsx")["version"];
    assert_eq!(version, dsx_protocol::DSX_VERSION);
    let own: Vec<&Value> = workspace.own().collect();
    assert!(own.iter().any(|p| p["name"] == "dsx-core"));
    for package in own {
        assert_eq!(&package["version"], version, "{}", package["name"]);
        assert_eq!(package["license"], "MIT", "{}", package["name"]);
        assert_eq!(package["publish"], serde_json::json!([]), "{} is not to be published", package["name"]);
        let targets = package["targets"].as_array().unwrap().iter();
        let has = targets.filter(|t| t["kind"][0] == "bin").any(|t| t["name"] == "dsx");
        assert_eq!(has, package["name"] == "dsx", "{}", package["name"]);
    }
}
