module v6-node.test/cilium

go 1.26

require github.com/cilium/cilium v1.15.19

// The replacements of Cilium's own go.mod: a module's replacements count only when it is the main one.
replace (
	go.universe.tf/metallb => github.com/cilium/metallb v0.1.1-0.20220829170633-5d7dfb1129f7
	sigs.k8s.io/controller-tools => github.com/cilium/controller-tools v0.8.0-1
)
