use std::process::Command;

use super::*;
use crate::tools::found_or_not_run;

#[test]
fn linked_crates_are_listed_and_build_or_test_dependencies_are_not() {
    for package in ["webhook", "cli", "syncer"] {
        let linked = linked(package).unwrap();
        let has = |name: &str| linked.iter().any(|linked| linked.name == name);
        assert!(has("rustls") && has("clap_builder") && has("tokio"));
        for other in ["serde_derive", "cc", "proptest", "libtest-mimic", "syncer"] {
            assert!(!has(other), "{package} does not link {other}");
        }
        assert!(linked.iter().all(|linked| !linked.license.is_empty()));
    }
}

#[test]
fn each_package_has_its_own_tree() {
    let trees =
        "0 one v1.0.0 (/a)\n1 shared v0.1.0\n\n0 two v2.0.0\n1 shared v0.1.0\n2 own v3.0.0+x\n";
    let one = BTreeSet::from([("one", "1.0.0"), ("shared", "0.1.0")]);
    assert_eq!(under("one", trees), one);
    let two = BTreeSet::from([("own", "3.0.0+x"), ("shared", "0.1.0"), ("two", "2.0.0")]);
    assert_eq!(under("two", trees), two);
}

/// The syncer enables more features than the webhook in some crates that both use.
#[test]
fn features_that_the_other_program_enables_in_a_crate_count_too() {
    let linked = linked("webhook").unwrap();
    assert!(linked.iter().any(|linked| linked.name == "ipnet"));
}

#[test]
fn the_bill_has_each_linked_crate_once_and_every_reference_resolves() {
    let bill = bill_of_materials("syncer", "gitvolume-syncer").unwrap();
    let linked = linked("syncer").unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let components = list(&bill["components"]);
    let with_checksum = |component: &&Value| component["hashes"][0]["content"].is_string();
    assert_eq!(
        components.iter().filter(with_checksum).count(),
        linked.len()
    );
    // The rest are our own crates, which no registry has.
    assert!(components.len() > linked.len(), "{}", components.len());
    let subject = &bill["metadata"]["component"];
    let all = components.iter().chain([subject]);
    let references: BTreeSet<String> = all.map(|one| one["bom-ref"].to_string()).collect();
    assert_eq!(references.len(), components.len() + 1);
    let dependencies = list(&bill["dependencies"]);
    assert_eq!(dependencies.len(), references.len());
    for one in &dependencies {
        assert!(references.contains(&one["ref"].to_string()), "{one}");
        for used in list(&one["dependsOn"]) {
            assert!(references.contains(&used.to_string()), "{used}");
        }
    }
    let of_subject = |one: &&Value| one["ref"] == subject["bom-ref"];
    let own = dependencies.iter().find(of_subject).unwrap();
    assert!(
        own["dependsOn"].to_string().contains("pkg:cargo/tokio@"),
        "{own}"
    );
}

#[test]
fn the_bills_are_valid_by_cyclonedx_s_schema() {
    let Some(validator) = found_or_not_run("jv") else {
        return;
    };
    let schemas = settings::root().join("tests/testdata/cyclonedx");
    let dir = tempfile::tempdir().unwrap();
    let complaint = |bill: &Value| {
        let file = dir.path().join("bill.json");
        fs::write(&file, bill.to_string()).unwrap();
        let output = Command::new(&validator)
            .arg("--map")
            .arg(format!("http://cyclonedx.org/schema={}", schemas.display()))
            .arg(schemas.join("bom-1.6.schema.json"))
            .arg(file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then_some(text)
    };
    for (package, program) in PROGRAMS {
        let bill = bill_of_materials(package, program).unwrap();
        assert_eq!(complaint(&bill), None, "{program}");
        for (at, value) in [
            ("/specVersion", json!(1.6)),
            ("/components/0/hashes/0/content", json!("not a checksum")),
            ("/components/0/type", json!("crate")),
            (
                "/components/0/licenses/0",
                json!({"license": {"id": "MIT-ish"}}),
            ),
            ("/dependencies/0/ref", Value::Null),
        ] {
            let mut other = bill.clone();
            *other.pointer_mut(at).unwrap() = value;
            assert!(complaint(&other).is_some(), "{at} may be anything");
        }
    }
}

/// The schema accepts any text as an expression.
#[test]
fn each_licence_is_a_valid_spdx_expression() {
    for (package, _) in PROGRAMS {
        for (linked, _) in in_program(package).unwrap() {
            let read = spdx::Expression::parse(&linked.license);
            assert!(read.is_ok(), "{}: {:?}", linked.name, read.err());
        }
    }
}

#[test]
fn build_metadata_is_escaped_in_a_package_url() {
    assert_eq!(package_url("ring", "0.17.14"), "pkg:cargo/ring@0.17.14");
    assert_eq!(
        package_url("zstd-sys", "2.0.16+zstd.1.5.7"),
        "pkg:cargo/zstd-sys@2.0.16%2Bzstd.1.5.7"
    );
}

#[test]
fn each_licence_file_of_a_crate_is_included_and_no_path_of_this_machine() {
    let text = third_party("webhook").unwrap();
    for part in [
        "\nring ",
        "Permission is hereby granted, free of charge",
        "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
        // From the C library inside its crate.
        "Microsoft Corporation, Daan Leijen",
    ] {
        assert!(text.contains(part), "no {part}");
    }
    assert!(!text.contains("/registry/"));
    assert_eq!(text, third_party("webhook").unwrap());
}
