{{- define "gemma4.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default "gemma4" .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change. Argument: dict "root" . "component" "triton" */}}
{{- define "gemma4.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "gemma4.labels" -}}
{{ include "gemma4.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "gemma4.image" -}}
{{- $tag := default .root.Chart.AppVersion .image.tag -}}
{{- ternary (printf "%s@%s" .image.repository .image.digest) (printf "%s:%s" .image.repository $tag) (ne .image.digest "") -}}
{{- end -}}

{{- define "gemma4.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gemma4.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What Pod Security's level "restricted" asks of a pod, and of a container. */}}
{{- define "gemma4.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.runAsUser }}
runAsGroup: {{ .Values.runAsUser }}
fsGroup: {{ .Values.runAsUser }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "gemma4.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* resources, with GPUs where there are any. Argument: dict "root" . "resources" r "gpus" n */}}
{{- define "gemma4.resources" -}}
{{- $made := deepCopy .resources -}}
{{- if gt (int .gpus) 0 -}}
{{- $gpu := dict .root.Values.triton.gpuResource (int .gpus) -}}
{{- $_ := set $made "limits" (merge (default dict $made.limits) $gpu) -}}
{{- $_ := set $made "requests" (merge (default dict $made.requests) $gpu) -}}
{{- end -}}
{{- toYaml $made -}}
{{- end -}}

{{- define "gemma4.sidecar" -}}
{{- if and .Values.gateway.enabled (eq .Values.gateway.mode "sidecar") -}}true{{- end -}}
{{- end -}}

{{/* Triton listens to other machines. */}}
{{- define "gemma4.remote" -}}
{{- if not (has .Values.triton.host (list "127.0.0.1" "::1" "localhost")) -}}true{{- end -}}
{{- end -}}

{{/* Beside a gateway or a worker of Dynamo's that still takes requests, Triton must not begin to
drain. */}}
{{- define "gemma4.tritonPreStop" -}}
{{- if include "gemma4.dynamo" . -}}
{{- max (int .Values.triton.preStopSeconds) (add (ceil .Values.dynamo.worker.drainDelaySeconds | int) 2) -}}
{{- else if include "gemma4.sidecar" . -}}
{{- max (int .Values.triton.preStopSeconds) (add (int .Values.gateway.preStopSeconds) 2) -}}
{{- else -}}
{{- int .Values.triton.preStopSeconds -}}
{{- end -}}
{{- end -}}

{{/* Triton gets 10 s to end after the answers, and its processes some more. */}}
{{- define "gemma4.tritonTermination" -}}
{{- $triton := add (include "gemma4.tritonPreStop" . | int) (int .Values.triton.graceSeconds) 30 -}}
{{- if include "gemma4.sidecar" . -}}
{{- max $triton (include "gemma4.gatewayTermination" . | int) -}}
{{- else -}}
{{- $triton -}}
{{- end -}}
{{- end -}}

{{/* The gateway gives those that it cuts off 5 s, and its connections 5 more. */}}
{{- define "gemma4.gatewayTermination" -}}
{{- add (int .Values.gateway.preStopSeconds) (int .Values.gateway.graceSeconds) 15 -}}
{{- end -}}

{{- define "gemma4.topologySpread" -}}
{{- if .spread.enabled }}
topologySpreadConstraints:
  - maxSkew: {{ .spread.maxSkew }}
    topologyKey: {{ .spread.topologyKey }}
    whenUnsatisfiable: {{ .spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels: {{- include "gemma4.selector" . | nindent 8 }}
{{- end }}
{{- end -}}

{{- define "gemma4.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "gemma4.keysSecret" -}}
{{- if .Values.gateway.apiKeys.existingSecret -}}
{{- .Values.gateway.apiKeys.existingSecret -}}
{{- else if .Values.gateway.apiKeys.entries -}}
{{- printf "%s-api-keys" (include "gemma4.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "gemma4.autoscaled" -}}
{{- if ne .Values.autoscaling.kind "none" -}}true{{- end -}}
{{- end -}}
