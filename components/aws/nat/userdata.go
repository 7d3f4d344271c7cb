package nat

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"polynat/internal/natzone"
)

//go:embed userdata.sh
var userDataTemplate string

// program is where an instance gets the agent.
type program struct{ bucket, key, sha256 string }

// userData is the script of a zone's instance.
func userData(agent *natzone.Agent, from program, i *Instance) (string, error) {
	document, err := agent.JSON()
	if err == nil {
		err = agent.Check()
	}
	if err != nil {
		return "", fmt.Errorf("configuration of natd: %w", err)
	}
	before, after := hookScript("before", i.Before), hookScript("after", i.After)
	if i.CloudWatchAgent {
		extra, err := cloudWatchAgent(agent)
		if err != nil {
			return "", err
		}
		after = extra + after
	}
	return strings.NewReplacer(
		"{{ZONE}}", agent.Zone, "{{NAME}}", agent.Name, "{{REGION}}", agent.Region, "{{GROUP}}", agent.Group, "{{LAUNCH_HOOK}}", agent.LaunchHook,
		"{{AGENT_FILE}}", natzone.AgentFile, "{{AGENT_MARKER}}", natzone.AgentMarker, "{{AGENT}}", string(document),
		"{{NETWORK_MARKER}}", natzone.NetworkMarker, "{{NETWORK}}", natzone.NetworkSettings,
		"{{BUCKET}}", from.bucket, "{{KEY}}", from.key, "{{SHA256}}", from.sha256, "{{BEFORE}}\n", before, "{{AFTER}}\n", after,
	).Replace(userDataTemplate), nil
}

// hookMarker ends the user's commands in the script; Validate refuses commands that hold it.
const hookMarker = "POLYNAT_HOOK"

func hookScript(name, commands string) string {
	if commands == "" {
		return ""
	}
	return fmt.Sprintf("cat >/etc/polynat/%s.sh <<'%s'\n%s\n%s\nhook %s\n", name, hookMarker, strings.TrimRight(commands, "\n"), hookMarker, name)
}

// cloudWatchAgent installs the CloudWatch agent in the background, for what natd does not measure itself.
func cloudWatchAgent(agent *natzone.Agent) (string, error) {
	dimensions := map[string]string{natzone.DimensionName: agent.Name, natzone.DimensionZone: agent.Zone}
	config, err := json.MarshalIndent(map[string]any{
		"agent": map[string]any{"metrics_collection_interval": 60},
		"metrics": map[string]any{
			"namespace": agent.MetricNamespace,
			"metrics_collected": map[string]any{
				"mem":  map[string]any{"measurement": []string{"mem_used_percent"}, "append_dimensions": dimensions},
				"disk": map[string]any{"measurement": []string{"used_percent"}, "resources": []string{"/"}, "append_dimensions": dimensions},
			},
		},
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("configuration of the CloudWatch agent: %w", err)
	}
	return "cat >/etc/polynat/cloudwatch-agent.json <<'POLYNAT_CLOUDWATCH'\n" + string(config) + "\nPOLYNAT_CLOUDWATCH\n" +
		`systemd-run --no-block --unit=polynat-cloudwatch-agent /bin/sh -c 'dnf --assumeyes install amazon-cloudwatch-agent && ` +
		`/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c file:/etc/polynat/cloudwatch-agent.json' ||` +
		"\n  echo 'polynat: the CloudWatch agent is not installed' >&2\n", nil
}
