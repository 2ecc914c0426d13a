# fish completion for nexus
set -l commands server client status top profile log model
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "server" -d "run a node"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "client" -d "ask a node"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "status" -d "how the group is"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "top" -d "the same, live"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "profile" -d "measure a model"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "log" -d "print a durable log"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "model" -d "look into a model's files"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "--help" -d "the usage"
complete -c nexus -f -n "not __fish_seen_subcommand_from $commands" -a "--version" -d "the version"

set -l files secret_file PERS/file_path CLIENTS/model_store CLIENTS/mms_config CLIENTS/tls_cert CLIENTS/tls_key \
    CLIENTS/tls_client_ca CLIENTS/tokens CATEGORIZER/profiles
set -l values leader_ip leader_gms_port local_id local_ip gms_port first_view_nodes members_max contacts \
    clock_skew_s client_port join_timeout_s heartbeat_ms otlp otlp_per_million cpus RDMA/domain SUBGROUP/FUNCTION_TIER/num_shards \
    SUBGROUP/FUNCTION_TIER/min_nodes SUBGROUP/FUNCTION_TIER/max_nodes SUBGROUP/CATEGORIZER_TIER/num_shards \
    SUBGROUP/CATEGORIZER_TIER/min_nodes SUBGROUP/CATEGORIZER_TIER/max_nodes CLIENTS/connections_max \
    CLIENTS/requests_max CLIENTS/requests_mb CLIENTS/request_max_mb CLIENTS/response_timeout_s CLIENTS/drain_s \
    CLIENTS/listen CLIENTS/load_models CATEGORIZER/threads CATEGORIZER/memory_mb CATEGORIZER/batch_max
for key in $files
    complete -c nexus -n "__fish_seen_subcommand_from server" -r -l $key
end
for key in $values
    complete -c nexus -n "__fish_seen_subcommand_from server" -x -l $key
end
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l tier -a "function categorizer"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l rejoin -a "yes no"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l log_level -a "error warn info debug trace"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l log_format -a "plain json"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l RDMA/provider -a "tcp verbs"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l SUBGROUP/CATEGORIZER_TIER/persist -a "true false"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l CLIENTS/management -a "loopback anywhere"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l CLIENTS/compat -a "both 0.4 1.x"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l CLIENTS/log_requests -a "yes no"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l CATEGORIZER/backend -a "auto gpu_cudnn cpu_dnnl cpu_ref"
complete -c nexus -n "__fish_seen_subcommand_from server" -x -l CATEGORIZER/precision -a "f32 bf16"

set -l verbs installmodel inference removemodel models
complete -c nexus -f -n "__fish_seen_subcommand_from client; and not __fish_seen_subcommand_from $verbs" -a "$verbs"
complete -c nexus -f -n "__fish_seen_subcommand_from client; and test (count (commandline -opc)) -eq 4"
complete -c nexus -n "__fish_seen_subcommand_from installmodel" -r -l recipe -d "how a photo becomes the input"
complete -c nexus -n "__fish_seen_subcommand_from installmodel" -l replace -d "in place of what the tag has"
complete -c nexus -n "__fish_seen_subcommand_from client status top" -x -l timeout -d "seconds for the answer"
for file in ca cert key token
    complete -c nexus -n "__fish_seen_subcommand_from client status top" -r -l $file -d "a file, see nexus(1)"
end
complete -c nexus -f -n "__fish_seen_subcommand_from models status" -l json -d "as one object"
complete -c nexus -n "__fish_seen_subcommand_from log" -l json -d "as one object"
complete -c nexus -n "__fish_seen_subcommand_from log" -l verify -d "without the records"
complete -c nexus -f -n "__fish_seen_subcommand_from top" -x -l interval -d "seconds between two looks"

set -l actions inspect run time calibrate
complete -c nexus -f -n "__fish_seen_subcommand_from model; and not __fish_seen_subcommand_from $actions" -a "$actions"
complete -c nexus -n "__fish_seen_subcommand_from inspect time" -x -l batch -d "that shapes are for"
complete -c nexus -n "__fish_seen_subcommand_from inspect" -l json -d "as one object"
complete -c nexus -n "__fish_seen_subcommand_from run" -r -l input -d "NAME=X.npy"
complete -c nexus -n "__fish_seen_subcommand_from run" -r -l output -d "a folder for the outputs"
complete -c nexus -n "__fish_seen_subcommand_from profile inspect run time calibrate" -x -l backend -a "auto cpu_dnnl cpu_ref"
complete -c nexus -n "__fish_seen_subcommand_from profile run time calibrate" -x -l threads -d "that compute"
complete -c nexus -n "__fish_seen_subcommand_from profile inspect run time" -x -l precision -a "f32 bf16 int8"
complete -c nexus -n "__fish_seen_subcommand_from installmodel profile inspect run time" -r -l calibration -d "for int8"
complete -c nexus -n "__fish_seen_subcommand_from calibrate" -r -l photos -d "a folder, or a list"
complete -c nexus -n "__fish_seen_subcommand_from calibrate" -r -l recipe -d "how a photo becomes the input"
complete -c nexus -n "__fish_seen_subcommand_from calibrate" -r -l output -d "where it goes"
complete -c nexus -n "__fish_seen_subcommand_from calibrate" -x -l percentile -d "of magnitudes"
complete -c nexus -n "__fish_seen_subcommand_from calibrate" -l minmax -d "the whole range"
complete -c nexus -n "__fish_seen_subcommand_from inspect run time calibrate" -x -l size -d "HxW, where any would do"
complete -c nexus -n "__fish_seen_subcommand_from time" -x -l rounds -d "runs"
complete -c nexus -n "__fish_seen_subcommand_from time" -x -l top -d "steps to tell"
complete -c nexus -n "__fish_seen_subcommand_from profile" -x -l batch-max -d "the largest"
complete -c nexus -n "__fish_seen_subcommand_from profile" -x -l repeats -d "of each size"
complete -c nexus -n "__fish_seen_subcommand_from profile" -r -l recipe -d "for photos"
complete -c nexus -n "__fish_seen_subcommand_from profile" -r -l out -d "where it goes"
for file in ca cert key token
    complete -c nexus -n "__fish_seen_subcommand_from client" -r -l $file
end
