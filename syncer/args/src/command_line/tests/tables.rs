use super::*;

#[test]
fn the_table_is_claps_and_in_order() {
    let command = Cli::command();
    let by_clap: BTreeSet<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .filter(|long| !PRINTS.contains(long))
        .collect();
    let by_table: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
    assert_eq!(by_table, by_clap.into_iter().collect::<Vec<_>>());
    for flag in FLAGS {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(flag.name))
            .unwrap();
        let value = arg.get_value_names().unwrap()[0].as_str();
        let kind = flag.kind;
        assert_eq!(kind == Kind::Bool, value == "BOOL", "{}", flag.name);
        assert_eq!(kind == Kind::Duration, value == "DURATION", "{}", flag.name);
        assert_eq!(kind == Kind::Secret, arg.is_hide_set(), "{}", flag.name);
        let is_list = matches!(arg.get_action(), clap::ArgAction::Append);
        assert_eq!(kind.is_list(), is_list, "{}", flag.name);
        assert!(arg.get_help().is_some(), "{}", flag.name);
    }
}

#[test]
fn no_name_stands_twice_and_each_is_spelled_as_its_flag() {
    let mut names = BTreeSet::new();
    for flag in FLAGS {
        if let Some(env) = flag.env {
            let expected = format!("GITSYNC_{}", flag.name.replace('-', "_").to_uppercase());
            assert_eq!(env, expected);
        }
        let all = flag.env.iter().chain(flag.old_env);
        for name in all.chain([&flag.name]) {
            assert!(names.insert(*name), "{name} stands twice");
        }
    }
    for flag in OLD_FLAGS.iter().chain(MEANINGLESS_FLAGS) {
        // Only `--password` is both.
        assert!(
            names.insert(flag.name) || flag.name == "password",
            "{}",
            flag.name
        );
        assert!(
            flag.env.is_none_or(|env| names.insert(env)),
            "{}",
            flag.name
        );
        assert!(flag.instead.is_none_or(|name| table::find(name).is_some()));
    }
}
