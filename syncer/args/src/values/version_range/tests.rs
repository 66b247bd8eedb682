use super::*;

fn range(text: &str) -> VersionRange {
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn contains(text: &str, name: &str) -> bool {
    range(text).contains(&VersionTag::parse(name).unwrap())
}

#[test]
fn each_comparator_accepts_what_it_accepts_in_flux_and_helm() {
    for (text, inside, outside) in [
        ("1.2.3", "1.2.3 v1.2.3 1.2.3+b", "1.2.4 1.2 1.2.3-rc.1"),
        ("v1.2.3", "1.2.3 v1.2.3", "1.2.4"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("1.2", "1.2 1.2.0 v1.2.9", "1.3.0 1.1.9 2.2.0"),
        ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
        ("1", "1.0.0 1.9.9", "2.0.0 0.9.0"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.0"),
        ("1.X.X", "1.0.0 1.9.9", "2.0.0"),
        ("*", "0.0.1 1.2.3 99.0.0", "1.0.0-rc.1"),
        ("x", "0.0.1 1.2.3", "1.0.0-rc.1"),
        ("!=1.2.3", "1.2.4 1.2.2", "1.2.3 v1.2.3"),
        ("!=1.2", "1.3.0 2.2.0", "1.2.0 1.2.9"),
        (">1.2.3", "1.2.4 2.0.0", "1.2.3 1.2.2"),
        (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9"),
        (">1", "2.0.0", "1.9.9 0.1.0"),
        (">=1.2", "1.2.0 1.3.0 2.0.0", "1.1.9"),
        ("=> 1.2.3", "1.2.3", "1.2.2"),
        ("<1.2", "1.1.9 0.1.0", "1.2.0 1.2.1"),
        ("<=1.2.3", "1.2.3 1.2.2", "1.2.4"),
        ("<=1.2", "1.2.9 1.1.0", "1.3.0 2.0.0"),
        ("=<1", "1.9.9 0.1.0", "2.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0 2.2.3"),
        ("~>1.2", "1.2.0 1.2.9", "1.3.0 1.1.0"),
        ("~1", "1.0.0 1.9.0", "2.0.0"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"),
        ("^1.2", "1.2.0 1.9.0", "1.1.9 2.0.0"),
        ("^1", "1.0.0 1.9.0", "0.9.0 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 1.0.0"),
        ("^0.2", "0.2.0 0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.1.0"),
        ("^0.0.0", "0.0.0", "0.0.1"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.1 0.9.0", "1.0.0"),
        (">=1.2 <2", "1.2.0 1.9.9", "1.1.9 2.0.0"),
        (">=1.2, <2", "1.2.0 1.9.9", "1.1.9 2.0.0"),
        (">=1.2,<2,!=1.5", "1.4.0 1.6.0", "1.5.3"),
        (" > 1.2.0 , < 1.3 ", "1.2.1", "1.2.0 1.3.0"),
        ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.1.9 1.4.6"),
        ("1.2.3 - 2", "1.2.3 2.9.9", "1.2.2 3.0.0"),
        ("^1.2||^3", "1.2.0 3.1.0", "2.0.0 1.1.0"),
        ("1.0.0 || >=2 <2.5 || 4", "1.0.0 2.4.0 4.4.4", "1.0.1 2.5.0"),
        ("2024.01.x", "2024.1.5 2024.01.05", "2024.02.01"),
    ] {
        for name in inside.split(' ') {
            assert!(contains(text, name), "{name} is in {text}");
        }
        for name in outside.split(' ') {
            assert!(!contains(text, name), "{name} is not in {text}");
        }
    }
}

#[test]
fn a_pre_release_is_in_a_range_only_if_a_comparator_names_one() {
    for (text, inside, outside) in [
        ("^1.2", "1.3.0", "1.3.0-rc.1 1.2.0-rc.1"),
        (">=1.2.0-0", "1.2.0-rc.1 1.3.0-alpha 1.2.0", "1.1.9"),
        (
            "^1.2.0-0",
            "1.2.0-rc.1 1.3.0-rc.1 1.9.0",
            "2.0.0-rc.1 1.1.0",
        ),
        ("^1.2.0-rc.2", "1.2.0-rc.2 1.2.0-rc.10 1.2.0", "1.2.0-rc.1"),
        ("1.x-0", "1.0.0-rc.1 1.5.0-rc.1", "2.0.0-rc.1"),
        ("*-0", "0.0.1-a 9.0.0-rc.1 1.0.0", ""),
        // One comparator of the alternative is enough, as in Masterminds 3.4.
        (">=1.2.0-0 <2", "1.3.0-rc.1 2.0.0-rc.1", "2.0.0"),
        (">=1.2.0-0 <2.0.0-0", "1.3.0-rc.1", "2.0.0-rc.1"),
        // The other alternative names none.
        ("^1.2 || ^3.0.0-0", "3.1.0-rc.1 1.3.0", "1.3.0-rc.1"),
        ("1.2.3-rc.1", "1.2.3-rc.1", "1.2.3 1.2.3-rc.2"),
    ] {
        for name in inside.split(' ') {
            assert!(contains(text, name), "{name} is in {text}");
        }
        for name in outside.split(' ').filter(|name| !name.is_empty()) {
            assert!(!contains(text, name), "{name} is not in {text}");
        }
    }
}

#[test]
fn the_highest_tag_is_chosen_whatever_the_order_of_the_list() {
    for (text, names, expected) in [
        (
            "^1.2",
            "v1.2.0 v1.10.0 v1.9.0 v2.0.0 latest",
            Some("v1.10.0"),
        ),
        ("^1.2", "1.2.3 v1.2.3 v1.2.3+b v1.2.3+a", Some("v1.2.3+b")),
        ("1.x", "v1.2 v1 v1.2.0", Some("v1.2.0")),
        ("^1.2", "v1.1.0 v2.0.0 v1.2.0-rc.1", None),
        ("^1.2", "", None),
    ] {
        let mut names: Vec<&str> = names.split(' ').collect();
        for _ in 0..2 {
            let found = range(text).highest(names.iter().copied());
            assert_eq!(found.as_ref().map(VersionTag::name), expected, "{text}");
            names.reverse();
        }
    }
}

#[test]
fn the_nearest_tags_are_those_around_the_range() {
    let nearest = |text: &str, names: &str| {
        let tags = range(text).nearest(names.split(' '));
        let names: Vec<_> = tags.iter().map(VersionTag::name).collect();
        names.join(" ")
    };
    let names = "v2.0.0 v0.9.0 v1.0.0 v1.1.0 latest v3.0.0 v4.0.0 v1.2.0-rc.1";
    assert_eq!(nearest("^1.2", names), "v1.1.0 v1.2.0-rc.1 v2.0.0 v3.0.0");
    assert_eq!(nearest("^9", names), "v3.0.0 v4.0.0");
    assert_eq!(nearest("^0.1", names), "v0.9.0 v1.0.0");
    assert_eq!(nearest("^0.1", "latest main"), "");
}

#[test]
fn the_major_numbers_of_a_range_are_known_if_each_alternative_has_one() {
    for (text, expected) in [
        ("^1.2", Some(vec![1])),
        ("~1.2 || 3.x || ^3", Some(vec![1, 3])),
        (">=1.2.0 ~1", Some(vec![1])),
        (">=1.2 <2", None),
        ("^1 || >=4", None),
        ("*", None),
        ("!=1", None),
    ] {
        let majors = range(text).majors();
        assert_eq!(
            majors.map(|majors| majors.into_iter().collect()),
            expected,
            "{text}"
        );
    }
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "",
        " ",
        "latest",
        "^",
        "^1.2 ||",
        "|| 1",
        "1 | 2",
        "1,,2",
        "1,",
        ",1",
        "^1.2.3.4",
        "^1..2",
        "1.x.3",
        ">=*",
        "^x",
        "vx",
        "V1",
        "1.2.3-",
        "1.2.3+",
        "^^1",
        "> =1",
        "01.2",
        "1 -2",
        "1 - ",
        "1 - 2 - 3",
        "1 - 2 3",
        "^1.2\n",
        "^1.2\t<2",
        ">=1<2",
        "1.2.3-a_b",
        "ä",
        "(1)",
        "=~1",
        "1234567890123456789",
    ] {
        assert_eq!(
            text.parse::<VersionRange>(),
            Err(ParseVersionRangeError),
            "{text:?}"
        );
    }
}
