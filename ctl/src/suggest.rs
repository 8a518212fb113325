//! "Did you mean": the name nearest to a mistyped one.

/// The candidate with the fewest edits from `name`, if it is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let edits_max = name.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `from` into `to` (optimal string alignment).
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let devices = ["soft0", "soft1", "accel0", "accel1"];
        assert_eq!(nearest("acel1", devices), Some("accel1"));
        assert_eq!(nearest("sfot0", devices), Some("soft0"));
        assert_eq!(nearest("aes-265-gcm", ["aes-128-gcm", "aes-256-gcm"]), Some("aes-256-gcm"));
    }

    #[test]
    fn something_else_is_not() {
        assert_eq!(nearest("hsm", ["soft0", "accel1"]), None);
        assert_eq!(nearest("", ["soft0"]), None);
    }
}
