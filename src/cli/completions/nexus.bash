# bash completion for nexus
_nexus_keys="--leader_ip --leader_gms_port --local_id --local_ip --gms_port --tier --first_view_nodes --members_max
    --contacts --clock_skew_s --rejoin --client_port --join_timeout_s --heartbeat_ms --log_level --otlp --otlp_per_million --log_format
    --cpus --secret_file --RDMA/provider --RDMA/domain --SUBGROUP/FUNCTION_TIER/num_shards
    --SUBGROUP/FUNCTION_TIER/min_nodes --SUBGROUP/FUNCTION_TIER/max_nodes --SUBGROUP/CATEGORIZER_TIER/num_shards
    --SUBGROUP/CATEGORIZER_TIER/min_nodes --SUBGROUP/CATEGORIZER_TIER/max_nodes --SUBGROUP/CATEGORIZER_TIER/persist
    --PERS/file_path --CLIENTS/model_store --CLIENTS/management --CLIENTS/compat --CLIENTS/connections_max
    --CLIENTS/requests_max --CLIENTS/requests_mb --CLIENTS/request_max_mb --CLIENTS/response_timeout_s
    --CLIENTS/drain_s --CLIENTS/listen --CLIENTS/load_models --CLIENTS/mms_config --CLIENTS/tls_cert
    --CLIENTS/tls_key --CLIENTS/tls_client_ca --CLIENTS/tokens --CLIENTS/log_requests --CATEGORIZER/backend
    --CATEGORIZER/precision --CATEGORIZER/threads --CATEGORIZER/memory_mb --CATEGORIZER/batch_max --CATEGORIZER/profiles"

_nexus() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words="" files=no
    COMPREPLY=()
    case $before in
    --recipe | --photos | --calibration | --ca | --cert | --key | --token | --out | --output | --input | --secret_file | --CLIENTS/mms_config | \
        --CLIENTS/tls_cert | --CLIENTS/tls_key | --CLIENTS/tls_client_ca | --CLIENTS/tokens)
        mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --PERS/file_path | --CLIENTS/model_store | --CATEGORIZER/profiles)
        mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    --timeout | --interval | --percentile | --size | --batch | --batch-max | --threads | --repeats | --leader_ip | \
        --leader_gms_port | \
        --local_id | --local_ip | --gms_port | --first_view_nodes | --members_max | --contacts | --clock_skew_s | \
        --client_port | --join_timeout_s | --heartbeat_ms | --otlp | --otlp_per_million | --cpus | --RDMA/domain | \
        --SUBGROUP/FUNCTION_TIER/num_shards | --SUBGROUP/FUNCTION_TIER/min_nodes | \
        --SUBGROUP/FUNCTION_TIER/max_nodes | --SUBGROUP/CATEGORIZER_TIER/num_shards | \
        --SUBGROUP/CATEGORIZER_TIER/min_nodes | --SUBGROUP/CATEGORIZER_TIER/max_nodes | --CLIENTS/connections_max | \
        --CLIENTS/requests_max | --CLIENTS/requests_mb | --CLIENTS/request_max_mb | --CLIENTS/response_timeout_s | \
        --CLIENTS/drain_s | --CLIENTS/listen | --CLIENTS/load_models | --CATEGORIZER/threads | \
        --CATEGORIZER/memory_mb | --CATEGORIZER/batch_max)
        return ;;
    --tier) words="function categorizer" ;;
    --log_format) words="plain json" ;;
    --CLIENTS/log_requests | --rejoin) words="yes no" ;;
    --SUBGROUP/CATEGORIZER_TIER/persist) words="true false" ;;
    --log_level) words="error warn info debug trace" ;;
    --RDMA/provider) words="tcp verbs" ;;
    --backend) words="auto cpu_dnnl cpu_ref" ;;
    --CATEGORIZER/backend) words="auto gpu_cudnn cpu_dnnl cpu_ref" ;;
    --CATEGORIZER/precision) words="f32 bf16" ;;
    --precision) words="f32 bf16 int8" ;;
    --CLIENTS/management) words="loopback anywhere" ;;
    --CLIENTS/compat) words="both 0.4 1.x" ;;
    *)
        files=yes
        if [ "$COMP_CWORD" -eq 1 ]; then
            words="server client status top profile log model --help --version"
        else
            case ${COMP_WORDS[1]} in
            server) words=$_nexus_keys ;;
            client)
                case $COMP_CWORD in
                2) words="127.0.0.1:28000 --help" ;;
                3) words="installmodel inference removemodel models" ;;
                *) case ${COMP_WORDS[3]} in
                    installmodel) words="--recipe --calibration --replace --timeout --ca --cert --key --token" ;;
                    models) words="--json --timeout --ca --cert --key --token" ;;
                    *) words="--timeout --ca --cert --key --token" ;;
                    esac ;;
                esac ;;
            status) words="127.0.0.1:28000 --json --timeout --ca --cert --key --token --help" ;;
            top) words="127.0.0.1:28000 --interval --timeout --ca --cert --key --token --help" ;;
            profile) words="--batch-max --threads --backend --precision --calibration --repeats --recipe --out" ;;
            log) words="--verify --json" ;;
            model)
                case $COMP_CWORD.${COMP_WORDS[2]} in
                2.*) words="inspect run time calibrate" ;;
                *.run) words="--input --output --threads --backend --precision --calibration --size" ;;
                *.time) words="--batch --threads --precision --calibration --size --backend --rounds --top" ;;
                *.calibrate) words="--photos --recipe --output --percentile --minmax --size --threads --backend" ;;
                *) words="--batch --precision --calibration --size --backend --json" ;;
                esac ;;
            esac
        fi ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    case $word in -*) return ;; esac
    if [ $files = yes ] && [ "$COMP_CWORD" -gt 1 ]; then
        case ${COMP_WORDS[1]}.$COMP_CWORD in
        client.2 | client.3 | client.4 | model.2 | status.* | top.*) ;; # the fourth is a tag, a name or an option
        *) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word") ;;
        esac
    fi
}
complete -o filenames -F _nexus nexus
