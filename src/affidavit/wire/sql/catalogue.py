"""What we know of pg_catalog: the functions that are free of effects, and the names of its tables and views.

`PURE_FUNCTIONS` is an allow-list of names. A name stands here only if *every* function of that name in pg_catalog
changes nothing that outlives the call, reads no table and no file on behalf of its arguments, takes no lock, does not
wait, and runs no text as SQL. Left out on purpose, among others: nextval, setval, set_config, setseed, pg_sleep…,
pg_advisory_…, pg_notify, pg_terminate_backend, pg_cancel_backend, pg_reload_conf, pg_read_file, pg_ls_dir, lo_…,
txid_current (assigns a transaction id), pg_export_snapshot, query_to_xml and its family, ts_stat and ts_rewrite
(they run a text as SQL), table_to_xml, cursor_to_xml, pg_stat_reset…, pg_logical_…, pg_replication_….

The label trusts the catalogue: operators, casts, collations, input functions of types, views and row security that
somebody defined may run functions of their own, and a function of the same name with a closer argument type in a
schema of the search path would be chosen by the server. What such code does is not visible in a statement's text.
"""

from __future__ import annotations

from affidavit.wire.sql.keywords import words

_NUMBERS = """
    abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd
    degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi pow power radians
    random random_normal round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc width_bucket
    int2 int4 int8 float4 float8 numeric money oid bool numeric_inc
    int4pl int4mi int4mul int4div int8pl int8mi booland_statefunc int4eq int8eq texteq to_hex to_oct to_bin
"""
_STRINGS = """
    ascii bit_count bit_length bpchar btrim char character_length char_length chr concat concat_ws convert
    convert_from convert_to crc32 crc32c decode encode format get_bit get_byte initcap is_normalized
    left length like like_escape lower lpad ltrim casefold md5 name nameeq notlike normalize octet_length overlay
    parse_ident pg_client_encoding pg_encoding_to_char pg_char_to_encoding position quote_ident quote_literal
    quote_nullable regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim set_bit
    set_byte sha224 sha256 sha384 sha512 split_part starts_with string_to_array string_to_table strpos substr
    substring text to_ascii translate trim unicode_assigned unicode_version icu_unicode_version unistr upper varchar
    bit varbit to_char to_number bytea
"""
_TIMES = """
    age clock_timestamp date date_add date_bin date_part date_subtract date_trunc extract interval isfinite
    justify_days justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz
    now overlaps statement_timestamp time timeofday timestamp timestamptz timetz timezone to_date to_timestamp
    transaction_timestamp pg_postmaster_start_time pg_conf_load_time
"""
_AGGREGATES = """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every grouping
    json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique
    json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict
    jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode percentile_cont percentile_disc
    range_agg range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy
    regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
"""
_JSON = """
    array_to_json json json_array json_arrayagg json_array_elements json_array_elements_text json_array_length
    json_build_array json_build_object json_each json_each_text json_exists json_extract_path json_extract_path_text
    json_object json_objectagg json_object_keys json_populate_record json_populate_recordset json_query json_scalar
    json_serialize json_strip_nulls json_to_record json_to_recordset json_typeof json_value jsonb
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_concat jsonb_contained jsonb_contains jsonb_delete jsonb_delete_path jsonb_each jsonb_each_text
    jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert
    jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz
    jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
    jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_recordset jsonb_pretty
    jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json
    to_jsonb
"""
_COLLECTIONS = """
    array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position
    array_positions array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort
    array_to_string array_upper cardinality generate_series generate_subscripts trim_array unnest
    array_in array_out array_recv array_send
    int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange nummultirange
    tsmultirange tstzmultirange datemultirange multirange isempty lower_inc lower_inf range_merge upper_inc upper_inf
    row coalesce nullif greatest least num_nonnulls num_nulls pg_typeof cast
    gen_random_uuid uuidv4 uuidv7 uuid_extract_timestamp uuid_extract_version
"""
_SEARCH_AND_SHAPES = """
    array_to_tsvector get_current_ts_config numnode phraseto_tsquery plainto_tsquery querytree setweight strip
    to_tsquery to_tsvector ts_debug ts_delete ts_filter ts_headline ts_lexize ts_match_qv ts_match_vq ts_parse ts_rank
    ts_rank_cd ts_token_type tsquery_phrase tsvector_to_array websearch_to_tsquery
    area bound_box box center circle diagonal diameter height isclosed isopen line lseg npoints path pclose point
    polygon popen radius slope width
    abbrev broadcast cidr family host hostmask inet_merge inet_same_family macaddr8_set7bit masklen netmask network
    set_masklen inet
    enum_first enum_last enum_range
    xmlcomment xmlconcat xmlelement xmlexists xmlforest xmlpi xmltext xml_is_well_formed xml_is_well_formed_content
    xml_is_well_formed_document xpath xpath_exists xml
"""
_CATALOGUE = """
    acldefault aclexplode aclitemeq makeaclitem col_description obj_description shobj_description current_database
    current_query current_schema current_schemas current_setting current_user session_user user getpgusername
    current_catalog current_role format_type has_any_column_privilege has_column_privilege has_database_privilege
    has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_largeobject_privilege
    has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
    has_tablespace_privilege has_type_privilege inet_client_addr inet_client_port inet_server_addr inet_server_port
    currval lastval oidvectortypes pg_backend_pid pg_blocking_pids pg_char_to_encoding pg_collation_actual_version
    pg_collation_for pg_collation_is_visible pg_column_compression pg_column_is_updatable pg_column_size
    pg_column_toast_chunk_id pg_conversion_is_visible pg_current_wal_flush_lsn pg_current_wal_insert_lsn
    pg_current_wal_lsn pg_current_xact_id_if_assigned pg_database_collation_actual_version pg_database_size
    pg_describe_object pg_function_is_visible pg_get_acl pg_get_catalog_foreign_keys pg_get_constraintdef
    pg_get_expr pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments
    pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef pg_get_keywords
    pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables
    pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
    pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid
    pg_get_viewdef pg_has_role pg_identify_object pg_identify_object_as_address pg_index_column_has_property
    pg_index_has_property pg_indexam_has_property pg_indexes_size pg_input_error_info pg_input_is_valid
    pg_is_in_recovery pg_is_other_temp_schema pg_is_wal_replay_paused pg_jit_available pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_listening_channels pg_lock_status pg_my_temp_schema
    pg_notification_queue_usage pg_opclass_is_visible pg_operator_is_visible
    pg_opfamily_is_visible pg_options_to_table pg_partition_ancestors pg_partition_root pg_partition_tree
    pg_relation_filenode pg_relation_filepath pg_relation_is_publishable pg_relation_is_updatable pg_relation_size
    pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_sequence_parameters pg_settings_get_flags
    pg_show_all_settings pg_size_bytes pg_size_pretty pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin
    pg_stat_get_activity pg_stat_get_backend_idset pg_stat_get_live_tuples pg_stat_get_dead_tuples
    pg_stat_get_numscans pg_stat_get_tuples_inserted pg_stat_get_tuples_updated pg_stat_get_tuples_deleted
    pg_statistics_obj_is_visible pg_table_is_visible pg_table_size pg_tablespace_databases
    pg_tablespace_location pg_tablespace_size pg_timezone_abbrevs pg_timezone_names pg_total_relation_size
    pg_trigger_depth pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible
    pg_ts_template_is_visible pg_type_is_visible pg_visible_in_snapshot pg_wal_lsn_diff pg_walfile_name
    pg_xact_status row_security_active to_regclass to_regcollation to_regnamespace to_regoper to_regoperator
    to_regproc to_regprocedure to_regrole to_regtype to_regtypemod txid_current_if_assigned txid_status version
    regclass regtype regtypein regtypeout array_send textin textout oidin
"""

PURE_FUNCTIONS = frozenset(
    " ".join((_NUMBERS, _STRINGS, _TIMES, _AGGREGATES, _JSON, _COLLECTIONS, _SEARCH_AND_SHAPES, _CATALOGUE)).split()
)

# Tables and views of pg_catalog. An unqualified name here is the catalogue's: the server searches it first.
CATALOGUE_RELATIONS = words(
    """
    pg_aggregate pg_aios pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_authid
    pg_available_extension_versions pg_available_extensions pg_backend_memory_contexts pg_cast pg_class
    pg_collation pg_config pg_constraint pg_conversion pg_cursors pg_database pg_db_role_setting pg_default_acl
    pg_depend pg_description pg_enum pg_event_trigger pg_extension pg_file_settings pg_foreign_data_wrapper
    pg_foreign_server pg_foreign_table pg_group pg_hba_file_rules pg_ident_file_mappings pg_index pg_indexes
    pg_inherits pg_init_privs pg_language pg_largeobject pg_largeobject_metadata pg_locks pg_matviews
    pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl pg_partitioned_table pg_policies pg_policy
    pg_prepared_statements pg_prepared_xacts pg_proc pg_publication pg_publication_namespace pg_publication_rel
    pg_publication_tables pg_range pg_replication_origin pg_replication_origin_status pg_replication_slots
    pg_rewrite pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence pg_sequences pg_settings pg_shadow
    pg_shdepend pg_shdescription pg_shmem_allocations pg_shmem_allocations_numa pg_shseclabel pg_stat_activity
    pg_stat_all_indexes pg_stat_all_tables pg_stat_archiver pg_stat_bgwriter pg_stat_checkpointer
    pg_stat_database pg_stat_database_conflicts pg_stat_gssapi pg_stat_io pg_stat_progress_analyze
    pg_stat_progress_basebackup pg_stat_progress_cluster pg_stat_progress_copy pg_stat_progress_create_index
    pg_stat_progress_vacuum pg_stat_recovery_prefetch pg_stat_replication pg_stat_replication_slots pg_stat_slru
    pg_stat_ssl pg_stat_subscription pg_stat_subscription_stats pg_stat_sys_indexes pg_stat_sys_tables
    pg_stat_user_functions pg_stat_user_indexes pg_stat_user_tables pg_stat_wal pg_stat_wal_receiver
    pg_stat_xact_all_tables pg_stat_xact_sys_tables pg_stat_xact_user_functions pg_stat_xact_user_tables
    pg_statio_all_indexes pg_statio_all_sequences pg_statio_all_tables pg_statio_sys_indexes
    pg_statio_sys_sequences pg_statio_sys_tables pg_statio_user_indexes pg_statio_user_sequences
    pg_statio_user_tables pg_statistic pg_statistic_ext pg_statistic_ext_data pg_stats pg_stats_ext
    pg_stats_ext_exprs pg_subscription pg_subscription_rel pg_tables pg_tablespace pg_timezone_abbrevs
    pg_timezone_names pg_transform pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser
    pg_ts_template pg_type pg_user pg_user_mapping pg_user_mappings pg_views pg_wait_events
    """
)
