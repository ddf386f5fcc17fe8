{{/* What a schema cannot say: values that contradict each other. */}}
{{- define "gemma4.check" -}}
{{- $v := .Values -}}
{{- if eq $v.engine.source "build" -}}
{{- if not $v.engine.build.checkpointClaim -}}
{{- fail "engine.build.checkpointClaim: name the claim that has the Hugging Face checkpoint, or set engine.source to claim, download or image" -}}
{{- end -}}
{{- end -}}
{{- if eq $v.engine.source "claim" -}}
{{- if not (and $v.engine.storage.existingClaim $v.engine.path) -}}
{{- fail "engine.source claim: set engine.storage.existingClaim and engine.path, the engine's folder on it" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.engine.source "image") (not (hasPrefix "/" $v.engine.path)) -}}
{{- fail (printf "engine.path %q: must be the absolute path of the engine in the image, since engine.source is image" $v.engine.path) -}}
{{- end -}}
{{- if and (eq $v.engine.source "download") (not $v.engine.download.image) -}}
{{- fail "engine.download.image: name the image that fetches the engine into /engine/current" -}}
{{- end -}}
{{- if and (gt (int $v.triton.gpus) 0) (ne (mod (int $v.triton.gpus) (int $v.engine.tp)) 0) -}}
{{- fail (printf "triton.gpus %d: must be a multiple of engine.tp, which is %d" (int $v.triton.gpus) (int $v.engine.tp)) -}}
{{- end -}}
{{- include "gemma4.checkDynamo" . -}}
{{- if and (not (include "gemma4.remote" .)) (not (include "gemma4.sidecar" .)) (not (include "gemma4.dynamo" .)) -}}
{{- fail (printf "triton.host %s: nobody outside the pod can reach it; set gateway.mode to sidecar, or triton.host to 0.0.0.0" $v.triton.host) -}}
{{- end -}}
{{- if and $v.inferencePool.enabled (not (include "gemma4.sidecar" .)) -}}
{{- fail "inferencePool.enabled: its endpoint picker sends OpenAI's requests to Triton's pods; set gateway.mode to sidecar" -}}
{{- end -}}
{{- if and $v.inferencePool.enabled (not $v.inferencePool.endpointPicker.name) -}}
{{- fail "inferencePool.endpointPicker.name: name the service of the endpoint picker" -}}
{{- end -}}
{{- if and $v.inferencePool.enabled (not (include "gemma4.remote" .)) -}}
{{- fail (printf "triton.host %s: the endpoint picker reads Triton's metrics; set triton.host to 0.0.0.0" $v.triton.host) -}}
{{- end -}}
{{- if include "gemma4.autoscaled" . -}}
{{- if eq $v.triton.workload "InferenceService" -}}
{{- fail "autoscaling.kind: KServe owns the Deployment of an InferenceService; set it to none" -}}
{{- end -}}
{{- if ne (int $v.triton.replicas) 1 -}}
{{- fail (printf "triton.replicas %d: with autoscaling, set autoscaling.minReplicas instead" (int $v.triton.replicas)) -}}
{{- end -}}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas %d: must not be more than autoscaling.maxReplicas, which is %d" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if $v.autoscaling.scaleToZero -}}
{{- if ne $v.autoscaling.kind "keda" -}}
{{- fail "autoscaling.scaleToZero: needs autoscaling.kind keda" -}}
{{- end -}}
{{- if or (not $v.gateway.enabled) (include "gemma4.sidecar" .) -}}
{{- fail "autoscaling.scaleToZero: needs gateway.mode deployment, since a sidecar ends with its Triton" -}}
{{- end -}}
{{- end -}}
{{- if and $v.gateway.tls.clientCaSecret (not $v.gateway.tls.existingSecret) -}}
{{- fail (printf "gateway.tls.clientCaSecret %s: clients show certificates over TLS only; set gateway.tls.existingSecret, the gateway's own certificate" $v.gateway.tls.clientCaSecret) -}}
{{- end -}}
{{- if and $v.gateway.tls.existingSecret $v.inferencePool.enabled -}}
{{- fail "gateway.tls.existingSecret: an InferencePool is asked over HTTP; leave it empty, and let TLS end at the Gateway's listener" -}}
{{- end -}}
{{- if and $v.gateway.responseStore.enabled (include "gemma4.sidecar" .) -}}
{{- fail "gateway.responseStore.enabled: a sidecar's file is that of its pod alone; set gateway.mode to deployment" -}}
{{- end -}}
{{- if and $v.gateway.responseStore.enabled (gt (int $v.gateway.replicas) 1) -}}
{{- fail (printf "gateway.replicas %d: gateways on several nodes cannot share gateway.responseStore; set it to 1" (int $v.gateway.replicas)) -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) -}}
{{- fail "ingress.host: name the host" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name the Gateway" -}}
{{- end -}}
{{- if and (or $v.ingress.enabled $v.httpRoute.enabled) (not $v.gateway.enabled) -}}
{{- fail "gateway.enabled: ingress and httpRoute lead to the gateway" -}}
{{- end -}}
{{- if and $v.gateway.apiKeys.existingSecret $v.gateway.apiKeys.entries -}}
{{- fail "gateway.apiKeys: give existingSecret or entries, not both" -}}
{{- end -}}
{{- end -}}

{{- define "gemma4.checkDynamo" -}}
{{- $v := .Values -}}
{{- $p := $v.dynamo.planner -}}
{{- if not (include "gemma4.dynamo" .) -}}
{{- if $p.enabled -}}
{{- fail (printf "dynamo.planner.enabled: needs triton.workload DynamoGraphDeployment, it is %s" $v.triton.workload) -}}
{{- end -}}
{{- else -}}
{{- if $v.gateway.enabled -}}
{{- fail "triton.workload DynamoGraphDeployment: Dynamo's frontend is in the gateway's place; set gateway.enabled to false" -}}
{{- end -}}
{{- if include "gemma4.autoscaled" . -}}
{{- fail (printf "autoscaling.kind %s: Dynamo's operator owns the workers; set it to none, and dynamo.planner.enabled to true" $v.autoscaling.kind) -}}
{{- end -}}
{{- if or $v.ingress.enabled $v.httpRoute.enabled -}}
{{- fail (printf "%s: leads to the gateway, which Dynamo's frontend is in the place of; set it to false, and lead a route of yours to the frontend's service" (ternary "ingress.enabled" "httpRoute.enabled" $v.ingress.enabled)) -}}
{{- end -}}
{{- if and (eq $v.engine.source "image") (ne $v.engine.path "/opt/gemma4/demo") -}}
{{- fail (printf "engine.path %q: Dynamo's worker is another image than Triton's, and of engines has /opt/gemma4/demo only; set engine.source to build, claim or download" $v.engine.path) -}}
{{- end -}}
{{- if and (eq $v.dynamo.frontend.routerMode "kv") (eq $v.dynamo.input "text") -}}
{{- fail "dynamo.frontend.routerMode kv: compares tokens, which dynamo.input text does not bring; set dynamo.input to tokens, or another mode" -}}
{{- end -}}
{{- if $p.enabled -}}
{{- if and (gt (int $v.triton.gpus) 0) (ne (int $v.triton.gpus) (int $v.engine.tp)) -}}
{{- fail (printf "triton.gpus %d: the planner learns from workers of one copy of the model; set it to engine.tp, which is %d" (int $v.triton.gpus) (int $v.engine.tp)) -}}
{{- end -}}
{{- $least := mul (int $p.minWorkers) (int $v.triton.gpus) -}}
{{- if gt $least (int $p.maxGpus) -}}
{{- fail (printf "dynamo.planner.maxGpus %d: dynamo.planner.minWorkers %d take %d" (int $p.maxGpus) (int $p.minWorkers) $least) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
