{{/* Triton's pods are workers of NVIDIA Dynamo. */}}
{{- define "gemma4.dynamo" -}}
{{- if eq .Values.triton.workload "DynamoGraphDeployment" -}}true{{- end -}}
{{- end -}}

{{- define "gemma4.dynamoFrontend" -}}
{{- $f := .Values.dynamo.frontend -}}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add (int .Values.triton.graceSeconds) 15 }}
securityContext: {{- include "gemma4.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "gemma4.placement" $f }}
containers:
  - name: main
    image: {{ include "gemma4.image" (dict "root" . "image" .Values.dynamo.image) }}
    imagePullPolicy: {{ .Values.dynamo.image.pullPolicy }}
    command: [python3, -m, dynamo.frontend]
    args:
      - --http-port=8000
      - --router-mode={{ $f.routerMode }}
      {{- if eq $f.routerMode "kv" }}
      # The engines do not say which blocks they hold.
      - --no-router-kv-events
      {{- end }}
      - --migration-limit={{ int $f.migrationLimit }}
      {{- range $f.extraArgs }}
      - {{ . | quote }}
      {{- end }}
    env:
      - {name: HOME, value: /tmp}
      {{- with $f.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    securityContext: {{- include "gemma4.containerSecurity" . | nindent 6 }}
    resources: {{- toYaml $f.resources | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
{{- end -}}

{{/* What joins Dynamo, beside a Triton that it asks by loopback. Its pages are there, and it joins
discovery, when Triton is ready. */}}
{{- define "gemma4.dynamoWorker" -}}
{{- $w := .Values.dynamo.worker -}}
- name: main
  image: {{ include "gemma4.image" (dict "root" . "image" .Values.dynamo.image) }}
  imagePullPolicy: {{ .Values.dynamo.image.pullPolicy }}
  # command and not args alone: the operator's own is a shell's.
  command: [gemma4, dynamo-worker]
  args:
    - --engine={{ include "gemma4.engineFolder" . }}
    - --server=127.0.0.1:8001
    - --input={{ .Values.dynamo.input }}
    {{- with .Values.dynamo.servedModelName }}
    - --served-model-name={{ . }}
    {{- end }}
    - --timeout={{ $w.timeoutSeconds }}
    - --drain-delay={{ $w.drainDelaySeconds }}
    - --grace={{ int .Values.triton.graceSeconds }}
    {{- range $w.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    - {name: HOME, value: /tmp}
    # Without, /health and /live say that all is well whatever becomes of Triton.
    - {name: DYN_HEALTH_CHECK_ENABLED, value: "true"}
    {{- with $w.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  startupProbe:
    httpGet: {path: /live, port: 9090}
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: {{ div (add (int .Values.triton.startTimeoutSeconds) 600) 5 }}
  # It fails while Triton is away too, so it is as patient as Triton's own.
  livenessProbe:
    httpGet: {path: /live, port: 9090}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: {{ div (add (int .Values.triton.startTimeoutSeconds) 120) 10 }}
  readinessProbe:
    httpGet: {path: /health, port: 9090}
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: 2
  securityContext: {{- include "gemma4.containerSecurity" . | nindent 4 }}
  resources: {{- toYaml $w.resources | nindent 4 }}
  volumeMounts:
    {{- if include "gemma4.engineVolume" . }}
    - {name: engine, mountPath: /engine, readOnly: true}
    {{- end }}
    - {name: dynamo-tmp, mountPath: /tmp}
{{- end -}}

{{/* It learns from the workers' reports how long a step takes, without a profile. */}}
{{- define "gemma4.dynamoPlanner" -}}
{{- $p := .Values.dynamo.planner -}}
enableServiceLinks: false
securityContext:
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "gemma4.placement" $p }}
containers:
  - name: main
    image: {{ include "gemma4.dynamoPlannerImage" . }}
    imagePullPolicy: {{ $p.image.pullPolicy }}
    command: [python3, -m, dynamo.planner]
    args:
      - --config
      - {{ include "gemma4.dynamoPlannerConfig" . | quote }}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities:
        drop: [ALL]
    resources: {{- toYaml $p.resources | nindent 6 }}
{{- end -}}

{{/* Dynamo's own image has Dynamo's version. */}}
{{- define "gemma4.dynamoPlannerImage" -}}
{{- $image := .Values.dynamo.planner.image -}}
{{- $tag := default .Values.dynamo.runtimeVersion $image.tag -}}
{{- include "gemma4.image" (dict "root" . "image" (merge (dict "tag" $tag) $image)) -}}
{{- end -}}

{{- define "gemma4.dynamoPlannerConfig" -}}
{{- $p := .Values.dynamo.planner -}}
{{- $made := dict "environment" "kubernetes" "backend" "trtllm" "mode" "agg" "optimization_target" "sla" -}}
{{- $_ := set $made "pre_deployment_sweeping_mode" "none" -}}
{{- $_ := set $made "enable_load_scaling" true -}}
{{- $_ := set $made "enable_throughput_scaling" false -}}
{{- $_ := set $made "ttft_ms" $p.ttftMs -}}
{{- $_ := set $made "itl_ms" $p.itlMs -}}
{{- $_ := set $made "min_endpoint" (int $p.minWorkers) -}}
{{- $_ := set $made "max_gpu_budget" (int $p.maxGpus) -}}
{{- /* Where the operator says of no GPU, as of workers on CPUs, the planner takes this, and ends
without it. */ -}}
{{- $_ := set $made "decode_engine_num_gpu" (max 1 (int .Values.triton.gpus)) -}}
{{- range $name, $value := $p.extraConfig }}{{ $_ := set $made $name $value }}{{ end -}}
{{- $made | toJson -}}
{{- end -}}

{{/* Frontends, workers and planner of this release reach each other on ports of their own choice.
Argument: dict "root" . "way" "from" or "to" */}}
{{- define "gemma4.dynamoPeers" -}}
- {{ .way }}:
    - podSelector:
        matchLabels:
          app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* Each other, DNS, and Kubernetes' API, where discovery is. */}}
{{- define "gemma4.dynamoEgress" -}}
{{ include "gemma4.dynamoPeers" (dict "root" . "way" "to") }}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
- ports: [{port: 443, protocol: TCP}, {port: 6443, protocol: TCP}]
{{- with .Values.networkPolicy.dynamoEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
