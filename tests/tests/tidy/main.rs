//! The house rules that no compiler checks. Each rule has a test that shows it red on a bad sample.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod arrows;
mod layout;
mod shape;
mod source;
mod words;

use crate::source::Source;

fn assert_tidy(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Collects what `rule` says of every source file.
fn each_source(rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let sources = source::all();
    assert!(sources.len() > 20, "the sources were not found");
    sources.iter().flat_map(rule).collect()
}

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    assert_tidy(
        arrows::PACKAGES
            .iter()
            .flat_map(|package| arrows::violations(package, &package.manifest()))
            .collect(),
    );
}

#[test]
fn sources_name_other_crates_only_along_the_arrows() {
    assert_tidy(each_source(arrows::names));
}

#[test]
fn files_and_functions_do_not_outgrow_their_reader() {
    assert_tidy(each_source(shape::violations));
}

#[test]
fn unsafe_code_is_where_it_is_expected() {
    assert_tidy(each_source(words::unsafe_code));
}

#[test]
fn nothing_is_left_to_do() {
    assert_tidy(each_source(words::unfinished));
}

#[test]
fn the_top_level_reads_like_a_table_of_contents() {
    assert_tidy(layout::violations(&layout::folders()));
}
