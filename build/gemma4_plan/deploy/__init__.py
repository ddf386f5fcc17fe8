"""From an answer to what deploys it: a build, variables of Compose, values of the Helm chart."""
