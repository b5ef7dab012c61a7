-- The keys of what a build makes a second time, once the effects of the rollout are estimated: then nothing else need
-- be tested again.
{{ config(meta={'asserts_of_each': 'key'}) }}

{{ broken_keys(['mart_parc_effect', 'mart_parc_open_readiness']) }}
