{{/* Pod template (metadata and spec) of Triton. Argument: dict "root" . "container" name */}}
{{- define "gemma4.tritonPod" -}}
{{- $root := .root -}}
metadata:
  labels: {{- include "gemma4.labels" (dict "root" $root "component" "triton") | nindent 4 }}
  {{- with $root.Values.triton.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec: {{- include "gemma4.tritonPodSpec" . | nindent 2 }}
{{- end -}}

{{- define "gemma4.tritonPodSpec" -}}
{{- $root := .root -}}
{{- $t := $root.Values.triton -}}
{{- $dynamo := include "gemma4.dynamo" $root -}}
{{- if not $dynamo }}
serviceAccountName: {{ include "gemma4.serviceAccount" $root }}
automountServiceAccountToken: false
{{- end }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "gemma4.tritonTermination" $root }}
securityContext: {{- include "gemma4.podSecurity" $root | nindent 2 }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $t.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- include "gemma4.placement" $t }}
{{- include "gemma4.topologySpread" (dict "root" $root "component" "triton" "spread" $t.topologySpread) }}
{{- if eq $root.Values.engine.source "build" }}
initContainers:
  - name: engine
    image: {{ include "gemma4.image" (dict "root" $root "image" $t.image) }}
    imagePullPolicy: {{ $t.image.pullPolicy }}
    # The folder appears as a whole: a build renames it into its place.
    command:
      - sh
      - -c
      - 'until [ -f "$0/engine.json" ]; do echo "waiting for the Job that builds $0"; sleep 5; done'
      - {{ include "gemma4.engineFolder" $root }}
    securityContext: {{- include "gemma4.containerSecurity" $root | nindent 6 }}
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {memory: 64Mi}
    volumeMounts:
      - {name: engine, mountPath: /engine, readOnly: true}
{{- else if eq $root.Values.engine.source "download" }}
{{- $d := $root.Values.engine.download }}
initContainers:
  - name: engine
    image: {{ $d.image }}
    {{- with $d.command }}
    command: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $d.args }}
    args: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $d.env }}
    env: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $d.envFrom }}
    envFrom: {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext: {{- include "gemma4.containerSecurity" $root | nindent 6 }}
    resources:
      requests: {cpu: 500m, memory: 512Mi}
      limits: {memory: 2Gi}
    volumeMounts:
      - {name: engine, mountPath: /engine}
      - {name: tmp, mountPath: /tmp}
{{- end }}
containers:
  {{- if $dynamo }}
  {{- include "gemma4.dynamoWorker" $root | nindent 2 }}
  {{- end }}
  - name: {{ .container }}
    image: {{ include "gemma4.image" (dict "root" $root "image" $t.image) }}
    imagePullPolicy: {{ $t.image.pullPolicy }}
    # args and not command: the entry point of TensorRT-LLM's image sets CUDA up.
    args:
      - gemma4
      - serve
      - --engine
      - {{ include "gemma4.engineFolder" $root }}
      - --host
      - {{ $t.host | quote }}
      - --http-port=8000
      - --grpc-port=8001
      - --metrics-port=8002
      - --health-port=8003
      - --grace={{ int $t.graceSeconds }}
      - --start-timeout={{ int $t.startTimeoutSeconds }}
      - --restarts={{ int $t.restarts }}
      - --restart-window={{ int $t.restartWindowSeconds }}
      - --quality-gate={{ $t.qualityGate }}
      {{- if not (kindIs "invalid" $t.qualityGateIntervalSeconds) }}
      - --quality-gate-interval={{ int $t.qualityGateIntervalSeconds }}
      {{- end }}
      - --log-format=json
      {{- if not (kindIs "invalid" $t.slots) }}
      - --slots={{ int $t.slots }}
      {{- end }}
      {{- if not (kindIs "invalid" $t.maxQueued) }}
      - --max-queued={{ int $t.maxQueued }}
      {{- end }}
      {{- if not (kindIs "invalid" $t.threads) }}
      - --threads={{ int $t.threads }}
      {{- end }}
      {{- $tp := int $root.Values.engine.tp }}
      {{- if gt (int $t.gpus) $tp }}
      {{- $sets := list }}
      {{- range $i := until (int (div (int $t.gpus) $tp)) }}
      {{- $set := list }}
      {{- range $j := until $tp }}{{ $set = append $set (add (mul $i $tp) $j) }}{{ end }}
      {{- $sets = append $sets (join "," $set) }}
      {{- end }}
      - --gpu-device-ids={{ join ";" $sets }}
      {{- end }}
      {{- range $t.aliases }}
      - --alias={{ . }}
      {{- end }}
      {{- if $t.nvidiaEnsemble }}
      - --nvidia-ensemble
      {{- end }}
      {{- if $t.allowRemoteEmbeddedTriton }}
      - --allow-remote-embedded-triton
      {{- end }}
      {{- range $t.extraArgs }}
      - {{ . | quote }}
      {{- end }}
    env:
      - {name: GEMMA4_CACHE_DIR, value: /cache}
      - {name: HOME, value: /tmp}
      {{- with $t.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if include "gemma4.remote" $root }}
    ports:
      - {name: http, containerPort: 8000}
      - {name: grpc, containerPort: 8001}
      - {name: metrics, containerPort: 8002}
      - {name: health, containerPort: 8003}
    {{- end }}
    # Startup: the start itself gives up after startTimeoutSeconds, and checks every file before.
    startupProbe:
      {{- include "gemma4.tritonProbe" (dict "root" $root "path" "/v2/models/gemma4/ready") | nindent 6 }}
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: {{ div (add (int $t.startTimeoutSeconds) 600) 5 }}
    # Ready: it takes requests. Not so from the moment that the server drains, while it restarts, and
    # while an enforced quality gate fails; the answer says which.
    readinessProbe:
      {{- include "gemma4.tritonProbe" (dict "root" $root "path" "/health/ready" "port" "health") | nindent 6 }}
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: 2
    # Live: `gemma4 serve` itself restarts a lost server, sooner than Kubernetes could, and ends when
    # that does not help. So this is for what it cannot see, and waits longer than such a restart.
    livenessProbe:
      {{- include "gemma4.tritonProbe" (dict "root" $root "path" "/v2/health/live") | nindent 6 }}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: {{ div (add (int $t.startTimeoutSeconds) 120) 10 }}
    lifecycle:
      preStop:
        exec:
          command: [sleep, {{ include "gemma4.tritonPreStop" $root | quote }}]
    securityContext: {{- include "gemma4.containerSecurity" $root | nindent 6 }}
    resources: {{- include "gemma4.resources" (dict "root" $root "resources" $t.resources "gpus" $t.gpus) | nindent 6 }}
    volumeMounts:
      {{- if include "gemma4.engineVolume" $root }}
      - {name: engine, mountPath: /engine, readOnly: true}
      {{- end }}
      - {name: cache, mountPath: /cache}
      - {name: shm, mountPath: /dev/shm}
      - {name: tmp, mountPath: /tmp}
  {{- if include "gemma4.sidecar" $root }}
  {{- include "gemma4.gatewayContainer" $root | nindent 2 }}
  {{- end }}
volumes:
  {{- if eq $root.Values.engine.source "download" }}
  - name: engine
    emptyDir: {sizeLimit: {{ $root.Values.engine.download.sizeLimit }}}
  {{- else if include "gemma4.engineVolume" $root }}
  - name: engine
    persistentVolumeClaim: {claimName: {{ include "gemma4.engineClaim" $root }}, readOnly: true}
  {{- end }}
  - name: cache
    {{- if $t.cache.existingClaim }}
    persistentVolumeClaim: {claimName: {{ $t.cache.existingClaim }}}
    {{- else }}
    emptyDir: {sizeLimit: {{ $t.cache.sizeLimit }}}
    {{- end }}
  - name: shm
    emptyDir: {medium: Memory, sizeLimit: {{ $t.shmSize }}}
  - name: tmp
    emptyDir: {}
  {{- if $dynamo }}
  - name: dynamo-tmp
    emptyDir: {sizeLimit: 1Gi}
  {{- end }}
  {{- if include "gemma4.sidecar" $root }}
  {{- include "gemma4.gatewayVolumes" $root | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The kubelet asks from outside the pod, so a Triton on loopback is asked from inside. */}}
{{- define "gemma4.tritonProbe" -}}
{{- if include "gemma4.remote" .root -}}
httpGet: {path: {{ .path }}, port: {{ .port | default "http" }}}
{{- else -}}
exec:
  command:
    - python3
    - -c
    - import sys, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=4)
    - http://127.0.0.1:{{ ternary 8003 8000 (eq (.port | default "http") "health") }}{{ .path }}
{{- end -}}
{{- end -}}
