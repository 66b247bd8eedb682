//! The chart as helm renders it: values, schema, documentation, and the properties of every
//! rendering.

mod contract;
mod documented;
mod fields;
mod golden;
mod kustomize;
mod metadata;
mod parts;
mod promises;
mod release_test;
mod schema;

use tests::installation::world::TestResult;
use tests::tools;

use crate::chart::parts::cache;
use crate::chart::parts::push;
use crate::chart::parts::tenant;

/// Turns each function into a test, which is reported as not run if helm is missing.
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
    contract::a_release_of_0_1_0_keeps_its_names_selector_ports_and_paths,
    contract::the_values_of_0_1_0_are_accepted,
    documented::each_value_has_a_comment,
    documented::the_readme_has_each_value_and_each_alert,
    documented::the_schema_describes_each_value_as_its_comment_does,
    fields::each_webhook_of_the_registration_except_the_first_can_be_disabled,
    fields::each_value_of_the_cache_reaches_its_field,
    fields::each_value_of_the_certificates_reaches_its_field,
    fields::each_value_of_the_chart_is_in_one_of_the_tables,
    fields::each_value_of_the_deployment_reaches_its_field,
    fields::each_value_of_the_monitoring_reaches_its_field,
    fields::each_value_of_the_network_reaches_its_field,
    fields::each_value_of_the_other_objects_reaches_its_field,
    fields::each_value_of_the_push_receiver_reaches_its_field,
    fields::each_value_of_the_registration_reaches_its_field,
    fields::each_value_for_the_webhook_becomes_an_argument,
    fields::each_optional_object_is_rendered_only_if_enabled,
    kustomize::the_base_for_kustomize_equals_the_chart,
    metadata::the_images_and_crds_for_artifact_hub_are_the_charts,
    promises::every_object_carries_the_labels_of_the_release,
    promises::helm_lint_accepts_every_set_of_values,
    promises::namespaces_are_watched_if_they_assign_users_and_the_rbac_rule_is_rendered_with_it,
    promises::no_webhook_matches_our_own_pods_or_kube_system,
    promises::changed_settings_do_not_change_the_pods,
    promises::the_webhook_for_templates_never_blocks_an_apply,
    promises::the_ca_bundle_is_rendered_only_if_a_value_sets_it,
    promises::the_default_values_render_to_the_golden,
    promises::the_pods_are_restricted_and_have_no_user_if_the_namespace_assigns_one,
    promises::the_rights_are_by_name_wherever_rbac_can_name,
    cache::the_cache_is_the_last_of_the_settings_and_its_ca_a_file_of_the_webhook,
    cache::the_alerts_of_the_cache_are_rendered_with_it_and_use_its_metrics,
    cache::the_pods_of_the_cache_are_restricted_and_not_selected_as_the_webhooks,
    push::routes_lead_to_the_path_of_deliveries_alone_and_to_a_port_of_the_receiver,
    push::the_alerts_of_the_receiver_are_rendered_with_it_and_use_its_metrics,
    push::the_cache_and_the_receiver_mount_one_key_that_is_generated_or_the_operators,
    push::the_pods_of_the_receiver_are_restricted_and_have_no_key_of_the_caches_certificate,
    push::the_program_accepts_the_arguments_of_the_cache_and_of_the_receiver,
    push::the_receiver_reaches_the_cache_and_dns_and_no_selector_of_others_matches_it,
    tenant::a_tenants_own_certificate_needs_no_issuer,
    tenant::without_the_webhook_no_object_is_cluster_wide_and_none_grants_a_right,
    promises::the_webhook_parses_the_rendered_settings,
    promises::there_is_no_hook_and_no_image_but_ours,
    release_test::the_pod_of_helm_test_is_injected_and_restricted,
    schema::a_typo_or_a_wrong_value_is_refused_with_its_name,
    schema::each_map_with_fixed_keys_rejects_an_unknown_key,
];
