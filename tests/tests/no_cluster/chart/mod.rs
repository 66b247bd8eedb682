//! The chart as helm renders it: values, schema, documentation, and what every rendering keeps.

mod documented;
mod fields;
mod golden;
mod promises;
mod schema;

use tests::tools;
use tests::world::TestResult;

/// Makes a test of each function, which is reported as not run where helm is missing.
macro_rules! with_helm {
    ($($module:ident::$test:ident),* $(,)?) => {
        $(
            #[test]
            fn $test() -> TestResult {
                match tools::found_or_not_run("helm") {
                    Some(_) => $module::$test(),
                    None => Ok(()),
                }
            }
        )*
    };
}

with_helm![
    documented::each_value_has_a_comment,
    documented::the_readme_has_each_value_and_each_alert,
    documented::the_schema_describes_each_value_as_its_comment_does,
    fields::each_entry_of_the_registration_can_be_switched_off_but_the_first,
    fields::each_value_of_the_certificates_reaches_its_field,
    fields::each_value_of_the_chart_is_in_one_of_the_tables,
    fields::each_value_of_the_deployment_reaches_its_field,
    fields::each_value_of_the_monitoring_reaches_its_field,
    fields::each_value_of_the_network_reaches_its_field,
    fields::each_value_of_the_other_objects_reaches_its_field,
    fields::each_value_of_the_registration_reaches_its_field,
    fields::each_value_that_the_webhook_is_told_is_an_argument,
    fields::objects_come_and_go_with_their_switches,
    promises::every_object_carries_the_labels_of_the_release,
    promises::helm_finds_nothing_to_complain_of_in_any_set,
    promises::namespaces_are_watched_where_they_hand_out_users_and_the_right_comes_with_it,
    promises::no_entry_is_about_our_own_pods_or_kube_system,
    promises::other_settings_are_no_other_pods,
    promises::templates_are_only_looked_at,
    promises::the_ca_bundle_is_left_to_whoever_writes_it,
    promises::the_default_values_render_to_the_golden,
    promises::the_pods_are_restricted_and_have_no_user_where_the_namespace_gives_one,
    promises::the_rights_are_by_name_wherever_rbac_can_name,
    promises::the_settings_reach_the_webhook_as_it_reads_them,
    promises::there_is_no_hook_and_no_image_but_ours,
    schema::a_typo_or_a_wrong_value_is_refused_by_its_name,
    schema::no_map_of_the_chart_s_own_takes_an_unknown_key,
];
