//! Which crate may know which: ctl -> tui -> netlink(client), netlink(server) -> core, ctl -> netlink, core.

use std::fs;

use crate::source::{self, Source};
use crate::words::lines_with;

/// A member of the workspace and what it may depend on, tests and examples apart.
pub struct Package {
    folder: &'static str,
    ours: &'static [&'static str],
    foreign_denied: &'static [&'static str],
}

pub const PACKAGES: [Package; 6] = [
    Package {
        folder: "core",
        ours: &[],
        foreign_denied: &["tokio", "neli", "ratatui", "crossterm", "clap", "nix", "serde", "serde_json"],
    },
    Package {
        folder: "netlink",
        ours: &["acrypto-core"],
        foreign_denied: &["ratatui", "crossterm", "clap", "serde_json"],
    },
    Package { folder: "tui", ours: &["acrypto-netlink"], foreign_denied: &["neli", "clap"] },
    Package {
        folder: "ctl",
        ours: &["acrypto-core", "acrypto-netlink", "acrypto-tui"],
        foreign_denied: &["neli", "ratatui"],
    },
    Package {
        folder: "tests",
        ours: &["acrypto-core", "acrypto-netlink", "acrypto-tui"],
        foreign_denied: &[],
    },
    Package { folder: "tests/peers", ours: &["acrypto-core"], foreign_denied: &[] },
];

impl Package {
    pub fn manifest(&self) -> String {
        fs::read_to_string(source::root().join(self.folder).join("Cargo.toml")).unwrap()
    }
}

/// What a manifest has that its package may not have.
pub fn violations(package: &Package, manifest: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let folder = package.folder;
    for (name, value) in dependencies(manifest) {
        let is_ours = name == "acrypto" || name.starts_with("acrypto-");
        if is_ours && !package.ours.contains(&name) || package.foreign_denied.contains(&name) {
            violations.push(format!("{folder} must not depend on '{name}'"));
        } else if folder == "netlink" && is_ours && !value.contains("optional = true") {
            violations
                .push(format!("{folder} may depend on '{name}' only as an option of the feature 'server'"));
        } else if folder == "tui" && is_ours && value.contains("features") {
            violations.push(format!("{folder} may use the client of '{name}' only"));
        }
    }
    if folder == "netlink"
        && entries(manifest, |section| section == "features").any(|(name, _)| name == "default")
    {
        violations.push(format!("{folder} must not serve by default"));
    }
    violations
}

/// What a source file names that its crate, or its part of the crate, may not know.
pub fn names(source: &Source) -> Vec<String> {
    let Source { path, text, code } = source;
    if path.starts_with("core/src/") {
        lines_with(path, &text.to_lowercase(), &["netlink", "acrypto_netlink", "acrypto_tui", "tokio"])
    } else if path.starts_with("netlink/src/") && !path.starts_with("netlink/src/server/") {
        lines_with(path, code, &["acrypto_core"])
    } else if path.starts_with("tui/src/") {
        lines_with(path, code, &["acrypto_core", "neli"])
    } else {
        Vec::new()
    }
}

/// Name and value of each dependency that is built for users, on any platform.
fn dependencies(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    entries(manifest, |section| {
        section == "dependencies" || section == "build-dependencies" || section.ends_with(".dependencies")
    })
}

fn entries(manifest: &str, is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (&str, &str)> {
    let mut wanted = false;
    manifest.lines().filter_map(move |line| {
        if let Some(section) = line.strip_prefix('[') {
            wanted = is_wanted(section.trim_end_matches(']'));
            return None;
        }
        let (name, value) = line.split_once('=').filter(|_| wanted && !line.starts_with('#'))?;
        let (name, field) = name.trim().split_once('.').unwrap_or((name.trim(), ""));
        debug_assert!(field.is_empty() || field == "workspace");
        Some((name.trim_matches('"'), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(folder: &str, manifest: &str) -> Vec<String> {
        violations(PACKAGES.iter().find(|package| package.folder == folder).unwrap(), manifest)
    }

    #[test]
    fn each_forbidden_dependency_is_told() {
        let bad = [
            ("core", "[dependencies]\nacrypto-netlink = { workspace = true }\n"),
            ("core", "[dependencies]\ntokio.workspace = true\n"),
            ("core", "[target.'cfg(unix)'.dependencies]\nclap = \"4\"\n"),
            ("core", "[build-dependencies]\n\"neli\" = \"0.7\"\n"),
            ("netlink", "[dependencies]\nacrypto-core = { workspace = true }\n"),
            ("netlink", "[dependencies]\nacrypto-tui = { workspace = true, optional = true }\n"),
            ("netlink", "[features]\nserver = []\ndefault = [\"server\"]\n"),
            ("tui", "[dependencies]\nacrypto-core = { workspace = true }\n"),
            ("tui", "[dependencies]\nacrypto-netlink = { workspace = true, features = [\"server\"] }\n"),
            ("ctl", "[dependencies]\nacrypto-tests = { workspace = true }\n"),
            ("tests", "[dependencies]\nacrypto = { workspace = true }\n"),
        ];
        for (folder, manifest) in bad {
            assert_eq!(told(folder, manifest).len(), 1, "{folder}: {manifest}");
        }
    }

    #[test]
    fn the_arrows_themselves_and_test_dependencies_are_free() {
        let core_option = "[dependencies]\nacrypto-core = { workspace = true, optional = true }\n";
        let client =
            "[dependencies]\nacrypto-netlink = { workspace = true }\n[dev-dependencies]\nacrypto-core = {}\n";
        assert!(told("netlink", core_option).is_empty());
        assert!(told("tui", client).is_empty());
        assert!(told("core", "[dev-dependencies]\ntokio = { workspace = true }\n").is_empty());
    }

    #[test]
    fn a_file_that_names_a_crate_it_must_not_know_is_told() {
        let bad = [
            ("core/src/runtime.rs", "/// Served over netlink.\n"),
            ("core/src/runtime.rs", "use acrypto_netlink::Client;"),
            ("netlink/src/client.rs", "use acrypto_core::Runtime;"),
            ("tui/src/model.rs", "fn f(_: acrypto_core::Runtime) {}"),
        ];
        for (path, text) in bad {
            assert_eq!(names(&Source::new(path, text)).len(), 1, "{path}: {text}");
        }
        assert!(names(&Source::new("netlink/src/server/mod.rs", "use acrypto_core::Runtime;")).is_empty());
    }
}
