//! Clocks that are far from right.

use time::macros::datetime;

use crate::support::Lab;

#[test]
fn a_clock_after_the_year_9000_is_refused_before_anything_is_done() {
    let mut lab = Lab::issued();
    let before = lab.snapshot();
    for now in [datetime!(9999-12-31 23:59:59 UTC), datetime!(9001-01-01 00:00:00 UTC)] {
        lab.now = now;
        for args in [&["status"][..], &["issue-node", "--all", "--reissue"], &["apply"], &["revoke", "on", "--yes"]] {
            let ran = lab.run(args);
            assert_eq!(ran.status, 4, "{args:?}: {ran}");
        }
    }
    assert_eq!(lab.snapshot(), before);
    // The year is only too late for everything that has a lifetime.
    lab.now = datetime!(9000-12-31 00:00:00 UTC);
    assert_eq!(lab.run(&["status"]).status, 1);
}
