//! The folders of the top level.

use std::fs;

use crate::source;

const FOLDERS: [&str; 6] = ["core", "ctl", "fixtures", "netlink", "tests", "tui"];
const MACHINERY: [&str; 3] = [".ci", ".git", "target"];

/// The names of the folders that are there.
pub fn folders() -> Vec<String> {
    let entries = fs::read_dir(source::root()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

pub fn violations(folders: &[String]) -> Vec<String> {
    let missing = FOLDERS.iter().filter(|name| !folders.iter().any(|folder| folder == *name));
    let surplus = folders.iter().filter(|folder| {
        let name = folder.as_str();
        !FOLDERS.contains(&name) && !MACHINERY.contains(&name)
    });
    missing
        .map(|name| format!("folder '{name}' is missing"))
        .chain(surplus.map(|name| format!("folder '{name}' has no place at the top level")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_surplus_folder_and_a_missing_one_are_told() {
        assert!(violations(&named(&FOLDERS)).is_empty());
        let some = named(&["core", "ctl", "fixtures", "netlink", "tests", "tools"]);
        assert_eq!(
            violations(&some),
            ["folder 'tui' is missing", "folder 'tools' has no place at the top level"]
        );
    }
}
