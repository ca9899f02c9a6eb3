#pragma once

#include "memory/knowledge/knowledge.h"

/// Questions about the graph, and changes of its facts (spec/memory §6.2). Every question takes
/// as_of (a moment in the world: facts that held then; default now), known_at (a moment here: what
/// was believed then; default what is believed now) and system_id (what one system states).
/// Other arguments, all of them checked:
namespace asahi::memory::knowledge {

/// entity_id, edge_type?, limit (50; 1–10 000), facts (0; 0–1000: so many facts with evidence).
Result<json::object> neighbours(Knowledge& knowledge, const Reach& reach,
                                const json::object& arguments);
/// The same, looked for in what stands around the entity alone (GraphStore::around). Nothing: only
/// the whole graph can tell, for the caller sees none of the entity's facts and may see what states
/// it.
Result<std::optional<json::object>> neighbours_around(Knowledge& knowledge, const Reach& reach,
                                                      const json::object& arguments,
                                                      const graph::Graph& around);
/// entity_id, facts (50; 0–1000), which (held, ever: also what holds no more). Errors: not_found.
Result<json::object> entity(Knowledge& knowledge, const Reach& reach,
                            const json::object& arguments);
/// q?: part of the key or name; limit (20; 1–100). The best known first.
Result<json::object> entities(Knowledge& knowledge, const Reach& reach,
                              const json::object& arguments);
/// source_id and target_id, different; max_hops (3; 1–10).
Result<json::object> path(Knowledge& knowledge, const Reach& reach, const json::object& arguments);
Result<json::object> statistics(Knowledge& knowledge, const Reach& reach,
                                const json::object& arguments);
/// method (louvain, label_propagation), limit (20; 1–1000), members (50; 1–1000 of each).
Result<json::object> communities(Knowledge& knowledge, const Reach& reach,
                                 const json::object& arguments);
/// limit and members as above.
Result<json::object> components(Knowledge& knowledge, const Reach& reach,
                                const json::object& arguments);
/// method (pagerank, betweenness, closeness, degree), top_k (20; 1–1000).
Result<json::object> centrality(Knowledge& knowledge, const Reach& reach,
                                const json::object& arguments);

/// fact_id: the fact with all its versions. Errors: not_found.
Result<json::object> fact(Knowledge& knowledge, const Reach& reach, const json::object& arguments);
/// fact_id and at least one of weight, valid_from, valid_to, properties. Errors: not_found,
/// conflict (it is not believed any more); so all below.
Result<json::object> edit_fact(Knowledge& knowledge, const Reach& reach,
                               const json::object& arguments);
/// fact_id: nobody believes it from now on; as of before it stays visible.
Result<json::object> retract_fact(Knowledge& knowledge, const Reach& reach,
                                  const json::object& arguments);
/// fact_id held until the fact `by` began.
Result<json::object> supersede_fact(Knowledge& knowledge, const Reach& reach,
                                    const json::object& arguments);
/// fact_id never held; `by`?: what does.
Result<json::object> contradict_fact(Knowledge& knowledge, const Reach& reach,
                                     const json::object& arguments);

}  // namespace asahi::memory::knowledge
