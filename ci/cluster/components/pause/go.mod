module v6-node.test/pause

go 1.24
