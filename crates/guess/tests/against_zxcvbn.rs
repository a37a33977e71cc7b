//! The gate is nowhere laxer than zxcvbn's score 3. The example of this name does the same with a
//! million strings.

#[path = "strings/mod.rs"]
mod strings;

#[path = "strings/against.rs"]
mod against;

#[test]
fn nothing_passes_that_zxcvbn_scores_below_three() {
    let tally = against::tally(2023, 30_000);
    assert_eq!(tally.lax, Vec::<String>::new());
    // The comparison is worth something only if both sides have something to say.
    assert!(tally.accepted * 20 > tally.strings, "{tally:?}");
    assert!(tally.sample_below * 10 > tally.sample, "{tally:?}");
}
